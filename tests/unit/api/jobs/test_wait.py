"""Wait: no change is missed, and nobody waits longer than they must."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uuid_utils

from api.http.asgi import AsgiMessage
from api.jobs import wait as waiting_module
from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import Lookup
from api.jobs.wait import Waiting
from sluice.core.document import Document
from sluice.core.errors import JobUnknown, Overloaded, TryAgain
from sluice.core.job import JobState
from sluice.core.ports import Wake
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_record import FakeRecord
from tests.support.fakes import FakeCache
from tests.support.faulty_store import FaultyStore, Gate, refused
from tests.support.make_jobs import AT
from tests.unit.api.in_memory_api import Clock, add
from tests.unit.consumer.make_attempts import a_job

LONG_S = 60.0
"""Longer than any test takes: a wait that reaches it fails its test."""


class WaitSetup:
    """Waiting requests over a record that can be slowed down."""

    def __init__(self, limit: int = 10) -> None:
        self.record = FakeRecord()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.listening = True
        self.gone = asyncio.Event()
        cache = FakeCache()
        self.lookup = Lookup(self.store.port, cache, DocumentMemory(1_000_000, 10, Clock()), Telemetry())
        self.waiting = Waiting(self.lookup, limit, lambda: self.listening)

    async def job(self) -> Document:
        """A queued job, as its client saw it."""
        job = a_job(add, {}, id=str(uuid_utils.uuid7()), state=JobState.QUEUED, version=1)
        return await self.lookup.find("acme", self.record.add(job))

    def change(self, job_id: str, version: int, state: str = JobState.RUNNING, wake: bool = True) -> None:
        """The job is another now, and that is announced."""
        done = state == JobState.SUCCEEDED
        job = self.record.jobs[job_id]
        self.record.add(job, version=version, state=state, finished_at=AT if done else None)
        if wake:
            self.waiting.wake({job_id: Wake(version, done)})

    async def receive(self) -> AsgiMessage:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    def wait(self, document: Document, seconds: float = LONG_S, **more: Any) -> asyncio.Task[Document]:
        return asyncio.create_task(self.waiting.wait("acme", document, seconds, self.receive, **more))

    async def asleep(self, asked: int = 1) -> None:
        """Return once the record was asked so often and whoever waits is asleep."""
        await self.store.called("look_up", self.store.calls["look_up"] + asked)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def setup() -> WaitSetup:
    return WaitSetup()


async def ends(task: asyncio.Task[Document]) -> Document:
    """What it answers, soon."""
    return await asyncio.wait_for(task, 5)


async def test_a_change_ends_the_wait(setup: WaitSetup) -> None:
    document = await setup.job()
    waiting = setup.wait(document)
    await setup.asleep()
    assert len(setup.waiting) == 1
    setup.change(document.id, 2)
    assert (await ends(waiting)).version == 2
    await asyncio.sleep(0)
    assert (len(setup.waiting), setup.waiting._waiters) == (0, {})
    assert "client-watch" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_change_between_the_clients_read_and_its_wait_is_seen_without_any_wake(
    setup: WaitSetup,
) -> None:
    document = await setup.job()
    setup.change(document.id, 2, wake=False)
    assert (await ends(setup.wait(document))).version == 2


async def test_a_wake_that_comes_while_the_record_is_read_is_not_lost(setup: WaitSetup) -> None:
    document = await setup.job()
    gate = Gate()
    old = setup.record.jobs[document.id]

    async def answers_late_with_what_was(call: Callable[[], Awaitable[Any]]) -> Any:
        await gate(call)
        return {document.id: old}

    setup.script["look_up"].append(answers_late_with_what_was)
    waiting = setup.wait(document)
    await gate.reached.wait()
    setup.change(document.id, 2)
    gate.open.set()
    assert (await ends(waiting)).version == 2


async def test_a_document_older_than_what_was_announced_is_no_answer(setup: WaitSetup) -> None:
    document = await setup.job()
    waiting = setup.wait(document)
    await setup.asleep()
    setup.change(document.id, 2, wake=False)
    setup.waiting.wake({document.id: Wake(3, False)})
    await setup.asleep()
    asked = setup.store.calls["look_up"]
    for _ in range(50):
        await asyncio.sleep(0)
    assert (waiting.done(), setup.store.calls["look_up"]) == (False, asked)
    setup.change(document.id, 3)
    setup.waiting.wake({document.id: Wake(4, False)})
    setup.change(document.id, 4, wake=False)
    assert (await ends(waiting)).version == 4


@pytest.mark.parametrize("version", [0, 1])
async def test_a_wake_that_tells_nothing_new_wakes_nobody(setup: WaitSetup, version: int) -> None:
    document = await setup.job()
    waiting = setup.wait(document)
    await setup.asleep()
    setup.change(document.id, 2, wake=False)
    setup.waiting.wake({document.id: Wake(version, False), str(uuid_utils.uuid7()): Wake(9, True)})
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    setup.change(document.id, 2)
    await ends(waiting)


async def test_who_waits_for_the_end_sleeps_through_everything_else(setup: WaitSetup) -> None:
    document = await setup.job()
    waiting = setup.wait(document, to_the_end=True)
    await setup.asleep()
    asked = setup.store.calls["look_up"]
    for version in range(2, 12):
        setup.change(document.id, version)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (waiting.done(), setup.store.calls["look_up"]) == (False, asked)
    setup.change(document.id, 12, JobState.SUCCEEDED)
    assert (await ends(waiting)).finished


async def test_who_waits_for_the_end_goes_on_after_reading_something_unfinished(setup: WaitSetup) -> None:
    document = await setup.job()
    setup.change(document.id, 2, wake=False)
    waiting = setup.wait(document, to_the_end=True)
    await setup.asleep(asked=2)
    assert not waiting.done()
    setup.change(document.id, 3, JobState.SUCCEEDED)
    assert (await ends(waiting)).version == 3


async def test_all_who_wait_for_a_job_are_woken(setup: WaitSetup) -> None:
    document = await setup.job()
    waiting = [setup.wait(document) for _ in range(5)]
    await setup.asleep()
    setup.change(document.id, 2)
    assert {(await ends(each)).version for each in waiting} == {2}


async def test_a_wait_ends_with_what_is_known_when_its_time_is_up(setup: WaitSetup) -> None:
    document = await setup.job()
    assert await ends(setup.wait(document, seconds=0.01)) == document
    assert len(setup.waiting) == 0


@pytest.mark.parametrize("to_the_end", [True, False])
async def test_a_wait_in_vain_ends_with_the_document_as_it_is_then(
    setup: WaitSetup, to_the_end: bool
) -> None:
    document = await setup.job()
    waiting = setup.wait(document, seconds=0.1, to_the_end=to_the_end)
    await setup.asleep()
    setup.change(document.id, 2, wake=False)
    assert (await ends(waiting)).version == 2


@pytest.mark.parametrize("error", [None, TryAgain(), Overloaded()])
async def test_a_wait_in_vain_ends_with_what_is_known_while_the_record_is_away(
    setup: WaitSetup, error: Exception | None
) -> None:
    document = await setup.job()
    waiting = setup.wait(document, seconds=0.1)
    await setup.asleep()
    setup.script["look_up"].append(refused(error))
    assert await ends(waiting) == document


async def test_what_was_read_last_is_the_answer_when_time_is_up(setup: WaitSetup) -> None:
    document = await setup.job()
    setup.change(document.id, 2, wake=False)
    waiting = setup.wait(document, seconds=0.05, to_the_end=True)
    assert (await ends(waiting)).version == 2


async def test_a_client_that_leaves_frees_its_place(setup: WaitSetup) -> None:
    document = await setup.job()
    waiting = setup.wait(document)
    await setup.asleep()
    setup.gone.set()
    assert await ends(waiting) == document
    assert len(setup.waiting) == 0


async def test_bytes_that_still_arrive_are_not_taken_for_leaving(setup: WaitSetup) -> None:
    document = await setup.job()
    more = [{"type": "http.request"}, {"type": "http.request"}]

    async def receive() -> AsgiMessage:
        return more.pop() if more else await setup.receive()

    waiting = asyncio.create_task(setup.waiting.wait("acme", document, LONG_S, receive))
    await setup.asleep()
    assert not waiting.done()
    setup.gone.set()
    await ends(waiting)


async def test_a_request_that_is_cut_off_frees_its_place(setup: WaitSetup) -> None:
    waiting = setup.wait(await setup.job())
    await setup.asleep()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(setup.waiting) == 0


async def test_over_the_limit_nobody_waits(setup: WaitSetup) -> None:
    document = await setup.job()
    held = [setup.wait(document) for _ in range(10)]
    await setup.asleep()
    assert await ends(setup.wait(document)) == document
    setup.change(document.id, 2)
    await asyncio.gather(*map(ends, held))
    assert len(setup.waiting) == 0


async def test_a_finished_document_is_not_waited_for(setup: WaitSetup) -> None:
    document = await setup.job()
    setup.change(document.id, 2, JobState.SUCCEEDED)
    finished = await setup.lookup.find("acme", document.id)
    asked = setup.store.calls["look_up"]
    assert await ends(setup.wait(finished)) == finished
    assert setup.store.calls["look_up"] == asked


@pytest.mark.parametrize("to_the_end", [True, False])
async def test_when_the_process_stops_everybody_is_answered_and_nobody_begins_to_wait(
    setup: WaitSetup, to_the_end: bool
) -> None:
    document = await setup.job()
    waiting = setup.wait(document, to_the_end=to_the_end)
    await setup.asleep()
    setup.waiting.release()
    assert await ends(waiting) == document
    assert await ends(setup.wait(document)) == document
    assert len(setup.waiting) == 0


@pytest.mark.parametrize(("listening", "constant"), [(False, "ASK_ALONE_S"), (True, "ASK_ANYWAY_S")])
async def test_a_change_that_nobody_announced_is_found_by_asking(
    setup: WaitSetup, monkeypatch: pytest.MonkeyPatch, listening: bool, constant: str
) -> None:
    setup.listening = listening
    monkeypatch.setattr(waiting_module, constant, 0.01)
    document = await setup.job()
    waiting = setup.wait(document)
    await setup.asleep(asked=3)
    setup.change(document.id, 2, wake=False)
    assert (await ends(waiting)).version == 2


async def test_when_wakes_may_have_been_missed_everybody_looks_again(setup: WaitSetup) -> None:
    document, other = await setup.job(), await setup.job()
    waiting, patient = setup.wait(document), setup.wait(other)
    await setup.asleep()
    setup.change(document.id, 2, wake=False)
    setup.waiting.wake({})
    assert (await ends(waiting)).version == 2
    assert not patient.done()
    setup.change(other.id, 2)
    await ends(patient)


def test_without_a_subscription_the_record_is_asked_more_often() -> None:
    assert waiting_module.ASK_ALONE_S == 2 < waiting_module.ASK_ANYWAY_S


@pytest.mark.parametrize("error", [None, TryAgain(), Overloaded()])
async def test_a_record_that_goes_away_does_not_end_a_wait(
    setup: WaitSetup, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    monkeypatch.setattr(waiting_module, "ASK_ALONE_S", 0.001)
    document = await setup.job()
    setup.script["look_up"] += [refused(error)] * 3
    waiting = setup.wait(document)
    await setup.asleep(asked=4)
    assert not waiting.done()
    setup.change(document.id, 2)
    assert (await ends(waiting)).version == 2


async def test_a_job_that_is_deleted_meanwhile_is_unknown(setup: WaitSetup) -> None:
    document = await setup.job()
    waiting = setup.wait(document)
    await setup.asleep()
    del setup.record.jobs[document.id]
    setup.waiting.wake({document.id: Wake(9, True)})
    with pytest.raises(JobUnknown):
        await ends(waiting)
    assert len(setup.waiting) == 0
