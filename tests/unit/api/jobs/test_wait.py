"""Wait: no change is missed, and nobody waits longer than they must."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

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
from sluice.core.ports import DocumentCache, JobStore, Wake
from tests.support.fakes import FakeCache
from tests.support.faulty_record import AT, FaultyRecord, FaultyStore, Gate, refused
from tests.unit.api.in_memory_api import Clock, add
from tests.unit.consumer.make_attempts import a_job

LONG_S = 60.0
"""Longer than any test takes: a wait that reaches it fails its test."""


class Hall:
    """Waiting requests over a record that can be held up."""

    def __init__(self, limit: int = 10) -> None:
        self.record = FaultyRecord()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.listening = True
        self.gone = asyncio.Event()
        cache = cast(DocumentCache, FakeCache())
        self.lookup = Lookup(cast(JobStore, self.store), cache, DocumentMemory(1_000_000, 10, Clock()))
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
async def hall() -> Hall:
    return Hall()


async def ends(task: asyncio.Task[Document]) -> Document:
    """What it answers, soon."""
    return await asyncio.wait_for(task, 5)


async def test_a_change_ends_the_wait(hall: Hall) -> None:
    document = await hall.job()
    waiting = hall.wait(document)
    await hall.asleep()
    assert len(hall.waiting) == 1
    hall.change(document.id, 2)
    assert (await ends(waiting)).version == 2
    await asyncio.sleep(0)
    assert (len(hall.waiting), hall.waiting._waiters) == (0, {})
    assert "client-watch" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_change_between_the_clients_read_and_its_wait_is_seen_without_any_wake(hall: Hall) -> None:
    document = await hall.job()
    hall.change(document.id, 2, wake=False)
    assert (await ends(hall.wait(document))).version == 2


async def test_a_wake_that_comes_while_the_record_is_read_is_not_lost(hall: Hall) -> None:
    document = await hall.job()
    gate = Gate()
    old = hall.record.jobs[document.id]

    async def answers_late_with_what_was(call: Callable[[], Awaitable[Any]]) -> Any:
        await gate(call)
        return {document.id: old}

    hall.script["look_up"].append(answers_late_with_what_was)
    waiting = hall.wait(document)
    await gate.reached.wait()
    hall.change(document.id, 2)
    gate.open.set()
    assert (await ends(waiting)).version == 2


async def test_a_document_older_than_what_was_announced_is_no_answer(hall: Hall) -> None:
    document = await hall.job()
    waiting = hall.wait(document)
    await hall.asleep()
    hall.change(document.id, 2, wake=False)
    hall.waiting.wake({document.id: Wake(3, False)})
    await hall.asleep()
    asked = hall.store.calls["look_up"]
    for _ in range(50):
        await asyncio.sleep(0)
    assert (waiting.done(), hall.store.calls["look_up"]) == (False, asked)
    hall.change(document.id, 3)
    hall.waiting.wake({document.id: Wake(4, False)})
    hall.change(document.id, 4, wake=False)
    assert (await ends(waiting)).version == 4


@pytest.mark.parametrize("version", [0, 1])
async def test_a_wake_that_tells_nothing_new_wakes_nobody(hall: Hall, version: int) -> None:
    document = await hall.job()
    waiting = hall.wait(document)
    await hall.asleep()
    hall.change(document.id, 2, wake=False)
    hall.waiting.wake({document.id: Wake(version, False), str(uuid_utils.uuid7()): Wake(9, True)})
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    hall.change(document.id, 2)
    await ends(waiting)


async def test_who_waits_for_the_end_sleeps_through_everything_else(hall: Hall) -> None:
    document = await hall.job()
    waiting = hall.wait(document, to_the_end=True)
    await hall.asleep()
    asked = hall.store.calls["look_up"]
    for version in range(2, 12):
        hall.change(document.id, version)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (waiting.done(), hall.store.calls["look_up"]) == (False, asked)
    hall.change(document.id, 12, JobState.SUCCEEDED)
    assert (await ends(waiting)).finished


async def test_who_waits_for_the_end_goes_on_after_reading_something_unfinished(hall: Hall) -> None:
    document = await hall.job()
    hall.change(document.id, 2, wake=False)
    waiting = hall.wait(document, to_the_end=True)
    await hall.asleep(asked=2)
    assert not waiting.done()
    hall.change(document.id, 3, JobState.SUCCEEDED)
    assert (await ends(waiting)).version == 3


async def test_all_who_wait_for_a_job_are_woken(hall: Hall) -> None:
    document = await hall.job()
    waiting = [hall.wait(document) for _ in range(5)]
    await hall.asleep()
    hall.change(document.id, 2)
    assert {(await ends(each)).version for each in waiting} == {2}


async def test_a_wait_ends_with_what_is_known_when_its_time_is_up(hall: Hall) -> None:
    document = await hall.job()
    assert await ends(hall.wait(document, seconds=0.01)) == document
    assert len(hall.waiting) == 0


async def test_what_was_read_last_is_the_answer_when_time_is_up(hall: Hall) -> None:
    document = await hall.job()
    hall.change(document.id, 2, wake=False)
    waiting = hall.wait(document, seconds=0.05, to_the_end=True)
    assert (await ends(waiting)).version == 2


async def test_a_client_that_leaves_frees_its_place(hall: Hall) -> None:
    document = await hall.job()
    waiting = hall.wait(document)
    await hall.asleep()
    hall.gone.set()
    assert await ends(waiting) == document
    assert len(hall.waiting) == 0


async def test_bytes_that_still_arrive_are_not_taken_for_leaving(hall: Hall) -> None:
    document = await hall.job()
    more = [{"type": "http.request"}, {"type": "http.request"}]

    async def receive() -> AsgiMessage:
        return more.pop() if more else await hall.receive()

    waiting = asyncio.create_task(hall.waiting.wait("acme", document, LONG_S, receive))
    await hall.asleep()
    assert not waiting.done()
    hall.gone.set()
    await ends(waiting)


async def test_a_request_that_is_cut_off_frees_its_place(hall: Hall) -> None:
    waiting = hall.wait(await hall.job())
    await hall.asleep()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(hall.waiting) == 0


async def test_over_the_limit_nobody_waits(hall: Hall) -> None:
    document = await hall.job()
    held = [hall.wait(document) for _ in range(10)]
    await hall.asleep()
    assert await ends(hall.wait(document)) == document
    hall.change(document.id, 2)
    await asyncio.gather(*map(ends, held))
    assert len(hall.waiting) == 0


async def test_a_finished_document_is_not_waited_for(hall: Hall) -> None:
    document = await hall.job()
    hall.change(document.id, 2, JobState.SUCCEEDED)
    finished = await hall.lookup.find("acme", document.id)
    asked = hall.store.calls["look_up"]
    assert await ends(hall.wait(finished)) == finished
    assert hall.store.calls["look_up"] == asked


@pytest.mark.parametrize("to_the_end", [True, False])
async def test_when_the_process_stops_everybody_is_answered_and_nobody_begins_to_wait(
    hall: Hall, to_the_end: bool
) -> None:
    document = await hall.job()
    waiting = hall.wait(document, to_the_end=to_the_end)
    await hall.asleep()
    hall.waiting.release()
    assert await ends(waiting) == document
    assert await ends(hall.wait(document)) == document
    assert len(hall.waiting) == 0


@pytest.mark.parametrize(("listening", "constant"), [(False, "ASK_ALONE_S"), (True, "ASK_ANYWAY_S")])
async def test_a_change_that_nobody_announced_is_found_by_asking(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, listening: bool, constant: str
) -> None:
    hall.listening = listening
    monkeypatch.setattr(waiting_module, constant, 0.01)
    document = await hall.job()
    waiting = hall.wait(document)
    await hall.asleep(asked=3)
    hall.change(document.id, 2, wake=False)
    assert (await ends(waiting)).version == 2


async def test_when_wakes_may_have_been_missed_everybody_looks_again(hall: Hall) -> None:
    document, other = await hall.job(), await hall.job()
    waiting, patient = hall.wait(document), hall.wait(other)
    await hall.asleep()
    hall.change(document.id, 2, wake=False)
    hall.waiting.wake({})
    assert (await ends(waiting)).version == 2
    assert not patient.done()
    hall.change(other.id, 2)
    await ends(patient)


def test_without_a_subscription_the_record_is_asked_more_often() -> None:
    assert waiting_module.ASK_ALONE_S == 2 < waiting_module.ASK_ANYWAY_S


@pytest.mark.parametrize("error", [None, TryAgain(), Overloaded()])
async def test_a_record_that_goes_away_does_not_end_a_wait(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    monkeypatch.setattr(waiting_module, "ASK_ALONE_S", 0.001)
    document = await hall.job()
    hall.script["look_up"] += [refused(error)] * 3
    waiting = hall.wait(document)
    await hall.asleep(asked=4)
    assert not waiting.done()
    hall.change(document.id, 2)
    assert (await ends(waiting)).version == 2


async def test_a_job_that_is_deleted_meanwhile_is_unknown(hall: Hall) -> None:
    document = await hall.job()
    waiting = hall.wait(document)
    await hall.asleep()
    del hall.record.jobs[document.id]
    hall.waiting.wake({document.id: Wake(9, True)})
    with pytest.raises(JobUnknown):
        await ends(waiting)
    assert len(hall.waiting) == 0
