"""Polls of many jobs: no change is missed, nobody waits longer than they must, and no look costs more than what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest

from api.http.asgi import AsgiMessage
from api.http.retry_after import RETRY_AFTER
from api.jobs import wait as waiting_module
from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import Lookup
from api.jobs.wait import Waiting
from api.polls import multi_poll, poll
from api.polls.changes import Changes
from api.polls.multi_poll import MultiPoll, Patience
from api.polls.poll import Poll
from sluice.core.document import render
from sluice.core.errors import Overloaded, ServerAway, TryAgain
from sluice.core.job import JobState
from sluice.core.ports import Wake
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_record import FakeRecord
from tests.support.fakes import FakeCache
from tests.support.faulty_store import FaultyStore, Gate, let_through, refused
from tests.support.make_jobs import AT, aged_id
from tests.unit.api.in_memory_api import Clock, add
from tests.unit.consumer.make_attempts import a_job

LONG_S = 60.0
"""Longer than any test takes: a poll that waits so long fails its test."""
MIB = 1_000_000


class PollSetup:
    """Polls over a cache and a record that can be slowed down. `retry_s` is the advice for the jobs of each lane."""

    def __init__(self, limit: int = 10) -> None:
        self.record = FakeRecord()
        self.store, self.cache_calls = FaultyStore(self.record), FaultyStore(FakeCache())
        self.cache: FakeCache = self.cache_calls.record
        self.listening = True
        self.gone = asyncio.Event()
        self.retry_s: dict[str, int] = {}
        self.memory = DocumentMemory(100 * MIB, 10, Clock())
        self.lookup = Lookup(self.store.port, self.cache_calls.port, self.memory, Telemetry())
        self.waiting = Waiting(self.lookup, limit, lambda: self.listening)
        changes = Changes(self.store.port, self.cache_calls.port, self.lookup, Telemetry())
        self.polls = MultiPoll(
            changes, self.waiting, lambda each: RETRY_AFTER[self.retry_s.get(each.lane, 1)]
        )

    def jobs(self, count: int = 1, version: int = 1, **changes: Any) -> dict[str, int]:
        """So many queued jobs, as their client knows them."""
        usual = {"tenant": "acme", "state": JobState.QUEUED, "version": version, "queued_at": AT}
        made = [a_job(add, {}, **({"id": aged_id(0)} | usual | changes)) for _ in range(count)]
        return {self.record.add(job): version for job in made}

    def finished(self, count: int = 1, size: int = 2, age_s: float = 0) -> dict[str, int]:
        """So many jobs that succeeded, whose client knows that they are queued."""
        done = {"state": JobState.SUCCEEDED, "finished_at": AT, "result": b'"%0*d"' % (size, 0)}
        made = [self.jobs(1, 3, id=aged_id(age_s), **done) for _ in range(count)]
        return {job_id: 1 for each in made for job_id in each}

    def change(self, job_id: str, version: int, state: str = JobState.RUNNING, wake: bool = True) -> None:
        """The job is another now, and that is announced."""
        done = state == JobState.SUCCEEDED
        self.record.add(
            self.record.jobs[job_id], version=version, state=state, finished_at=AT if done else None,
            result=b"1" if done else None,
        )  # fmt: skip
        if wake:
            self.waiting.wake({job_id: Wake(version, done)})

    async def receive(self) -> AsgiMessage:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def ask(self, known: dict[str, int], seconds: float = 0, tenant: str = "acme") -> Poll:
        patience = Patience(seconds, self.receive, nullcontext)
        return await asyncio.wait_for(self.polls.poll(tenant, dict(known), patience), 20)

    def wait(self, known: dict[str, int], seconds: float = LONG_S) -> asyncio.Task[Poll]:
        return asyncio.create_task(self.ask(known, seconds))

    async def asleep(self, asked: int = 1) -> None:
        """Return once the record was asked so often and whoever waits is asleep."""
        await self.store.called("find_changed", self.store.calls["find_changed"] + asked)
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def asked(self) -> tuple[int, int]:
        """How often the cache and the record were asked."""
        return self.cache_calls.calls["get"], self.store.calls["find_changed"]

    def nothing_is_left(self) -> None:
        assert (len(self.waiting), self.waiting._waiters, self.waiting._watched) == (0, {}, 0)


@pytest.fixture
async def setup() -> PollSetup:
    return PollSetup()


def shown(poll: Poll) -> dict[str, int]:
    """The versions that the answer brings."""
    return {document.id: document.version for document in poll.documents}


async def test_what_is_newer_is_shown_and_the_rest_is_counted(setup: PollSetup) -> None:
    same, newer, unknown = setup.jobs(3), setup.jobs(2, version=2), {aged_id(0): 0}
    foreign, done = setup.jobs(tenant="other"), setup.finished(2)
    seen = dict.fromkeys(setup.finished(), 3)
    known = same | dict.fromkeys(newer, 1) | unknown | foreign | done | seen
    found = await setup.ask(known)
    assert shown(found) == newer | dict.fromkeys(done, 3)
    assert sorted(found.unknown) == sorted(unknown | foreign)
    assert found.open.keys() == same.keys() | newer.keys()
    assert not found.more
    assert setup.asked == (1, 1)


async def test_a_lower_version_than_the_client_knows_is_shown_too(setup: PollSetup) -> None:
    jobs = setup.jobs()
    assert shown(await setup.ask(dict.fromkeys(jobs, 7))) == jobs


async def test_finished_jobs_come_from_the_caches_and_spare_the_record(setup: PollSetup) -> None:
    done, foreign = (
        setup.finished(3),
        setup.jobs(1, 3, tenant="other", state=JobState.CANCELLED, finished_at=AT),
    )
    setup.cache.documents |= {each: render(setup.record.jobs[each]) for each in (*done, *foreign)}
    for _ in range(2):
        found = await setup.ask(done | foreign)
        assert (shown(found), found.unknown) == (dict.fromkeys(done, 3), list(foreign))
    assert setup.asked == (1, 0), "the second time they are in memory"
    assert (await setup.ask(dict.fromkeys(done, 3))).documents == []


async def test_what_is_read_from_the_record_fills_the_caches_if_it_is_finished(setup: PollSetup) -> None:
    done, queued = setup.finished(2), setup.jobs(2)
    await setup.ask(done | dict.fromkeys(queued, 0))
    await setup.lookup.drain()
    assert setup.cache.documents.keys() == done.keys()
    assert len(setup.memory) == 2


@pytest.mark.parametrize("away", ["cache", "record"])
async def test_what_one_server_knows_is_shown_while_the_other_is_away(setup: PollSetup, away: str) -> None:
    done, queued = setup.finished(2), setup.jobs(2)
    if away == "cache":
        setup.cache.away = True
    else:
        setup.cache.documents |= {each: render(setup.record.jobs[each]) for each in done}
        setup.record.away = True
    found = await setup.ask(done | queued)
    assert shown(found) == dict.fromkeys(done, 3)
    assert (found.open, found.more, found.unknown) == (queued, away == "record", [])


@pytest.mark.parametrize("error", [None, TryAgain(), Overloaded()])
async def test_nothing_new_and_no_record_is_an_error(setup: PollSetup, error: Exception | None) -> None:
    seen, foreign = (
        dict.fromkeys(setup.finished(), 3),
        setup.jobs(1, 3, tenant="o", finished_at=AT, state="failed"),
    )
    setup.cache.documents |= {each: render(setup.record.jobs[each]) for each in (*seen, *foreign)}
    setup.record.away = error or True
    with pytest.raises(type(error) if error else ServerAway):
        await setup.ask(setup.jobs() | seen | dict.fromkeys(foreign, 0), LONG_S)
    setup.nothing_is_left()


async def test_an_answer_has_a_bounded_number_of_bytes_and_the_rest_comes_with_the_next(
    setup: PollSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "MOST_ANSWER", 2 * MIB + 100_000)
    known = setup.finished(12, MIB) | setup.finished(2)
    answers = []
    while known:
        answers.append(await setup.ask(known, LONG_S))
        assert answers[-1].documents
        assert answers[-1].more is bool(answers[-1].open)
        known = answers[-1].open
    assert max(sum(len(one.body) for one in each.documents) for each in answers) <= poll.MOST_ANSWER
    assert sum(len(each.documents) for each in answers) == 14


async def test_a_poll_that_found_no_room_beside_others_is_read_alone(setup: PollSetup) -> None:
    mine, theirs = setup.finished(2, MIB), setup.finished(9, MIB, age_s=60)
    others, found = await asyncio.gather(setup.wait(theirs, 0), setup.wait(mine, 0))
    assert (len(others.documents), others.more) == (5, True)
    assert shown(found) == dict.fromkeys(mine, 3)
    assert setup.asked == (1, 2), "once together, once alone"


async def test_the_first_change_ends_the_wait_and_only_what_changed_is_read(setup: PollSetup) -> None:
    known = setup.jobs(50)
    waiting = setup.wait(known)
    await setup.asleep()
    assert (len(setup.waiting), setup.waiting._watched, len(setup.waiting._waiters)) == (1, 50, 50)
    tasks = [each for each in asyncio.all_tasks() if each.get_name() == "client-watch"]
    assert len(tasks) == 1
    read: list[int] = []

    async def counted(call: Callable[[], Awaitable[Any]]) -> Any:
        found = await call()
        read.append(len(found))
        return found

    setup.store.script["find_changed"].append(counted)
    changed = list(known)[7]
    setup.change(changed, 2)
    found = await waiting
    assert (shown(found), len(found.open), read) == ({changed: 2}, 50, [1])
    setup.nothing_is_left()


async def test_all_who_wait_for_a_job_are_woken_whatever_else_they_wait_for(setup: PollSetup) -> None:
    first, second = setup.jobs(2), setup.jobs(2)
    shared = setup.jobs()
    waiting = [setup.wait(first | shared), setup.wait(second | shared), setup.wait(shared)]
    document = await setup.lookup.find("acme", next(iter(shared)))
    single = asyncio.create_task(setup.waiting.wait("acme", document, LONG_S, setup.receive))
    await setup.asleep()
    assert len(setup.waiting) == 4
    setup.change(document.id, 2)
    for each in waiting:
        assert shown(await each) == {document.id: 2}
    assert (await single).version == 2
    setup.nothing_is_left()


async def test_a_change_while_the_jobs_are_looked_at_is_not_lost(setup: PollSetup) -> None:
    known, gate = setup.jobs(3), Gate()
    setup.store.script["find_changed"].append(lambda call: let_through(call, gate))
    waiting = setup.wait(known)
    await gate.reached.wait()
    changed = list(known)[1]
    setup.change(changed, 3, JobState.SUCCEEDED)
    gate.open.set()
    assert shown(await waiting) == {changed: 3}


async def test_a_wake_that_tells_nothing_new_wakes_nobody(setup: PollSetup) -> None:
    known = setup.jobs(2, version=3)
    waiting = setup.wait(known)
    await setup.asleep()
    asked = setup.asked
    for version in (1, 3):
        setup.waiting.wake({next(iter(known)): Wake(version, False)})
    for _ in range(20):
        await asyncio.sleep(0)
    assert (waiting.done(), setup.asked) == (False, asked)
    setup.change(next(iter(known)), 4)
    assert shown(await waiting)


async def test_a_wake_before_its_change_can_be_read_does_not_end_the_wait(setup: PollSetup) -> None:
    known = setup.jobs(2)
    changed = next(iter(known))
    waiting = setup.wait(known)
    await setup.asleep()
    setup.waiting.wake({changed: Wake(2, False)})
    await setup.asleep()
    assert not waiting.done()
    setup.change(changed, 2)
    assert shown(await waiting) == {changed: 2}


async def test_what_is_finished_or_unknown_is_not_waited_for(setup: PollSetup) -> None:
    seen, unknown = dict.fromkeys(setup.finished(), 3), {aged_id(0): 1}
    found = await setup.ask(seen | unknown, LONG_S)
    assert (found.documents, found.unknown, found.open) == ([], list(unknown), {})
    assert (await setup.ask({}, LONG_S)).due


async def test_unknown_ids_do_not_end_a_wait_for_others(setup: PollSetup) -> None:
    known, unknown = setup.jobs(), {aged_id(0): 0}
    waiting = setup.wait(known | unknown)
    await setup.asleep()
    assert not waiting.done()
    setup.waiting.wake({next(iter(unknown)): Wake(2, False)})
    setup.change(next(iter(known)), 2)
    found = await waiting
    assert (shown(found), found.unknown) == (dict.fromkeys(known, 2), list(unknown))


async def test_a_wait_in_vain_ends_with_the_jobs_as_they_are_then(setup: PollSetup) -> None:
    known = setup.jobs(2)
    waiting = setup.wait(known, 0.05)
    await setup.asleep()
    setup.change(next(iter(known)), 2, wake=False)
    assert shown(await waiting) == {next(iter(known)): 2}
    waiting = setup.wait(known := setup.jobs(), 0.05)
    await setup.asleep()
    setup.store.script["find_changed"].append(refused())
    found = await waiting
    assert (found.documents, found.open) == ([], known)
    setup.nothing_is_left()


async def test_a_client_that_leaves_frees_its_place(setup: PollSetup) -> None:
    waiting = setup.wait(setup.jobs(3))
    await setup.asleep()
    setup.gone.set()
    assert not (await waiting).documents
    setup.nothing_is_left()


async def test_a_request_that_is_cut_off_frees_its_place(setup: PollSetup) -> None:
    waiting = setup.wait(setup.jobs(3))
    await setup.asleep()
    waiting.cancel()
    await asyncio.wait([waiting])
    setup.nothing_is_left()


async def test_when_the_process_stops_everybody_is_answered_and_nobody_begins_to_wait(
    setup: PollSetup,
) -> None:
    known = setup.jobs(3)
    waiting = setup.wait(known)
    await setup.asleep()
    setup.waiting.release()
    assert (await waiting).open == known
    assert (await setup.ask(known, LONG_S)).open == known


async def test_over_the_limit_a_poll_is_answered_at_once(
    setup: PollSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = setup.jobs(3)
    held = [setup.wait(known) for _ in range(10)]
    await setup.asleep()
    assert (await setup.ask(known, LONG_S)).open == known
    setup.change(next(iter(known)), 2)
    await asyncio.gather(*held)
    monkeypatch.setattr(waiting_module, "MOST_WATCHED", 5)
    known = setup.jobs(3)
    waiting = setup.wait(known)
    await setup.asleep()
    assert (await setup.ask(known, LONG_S)).open == known
    setup.change(next(iter(known)), 2)
    await waiting
    setup.nothing_is_left()


async def test_when_wakes_may_have_been_missed_everything_is_looked_at_again(setup: PollSetup) -> None:
    known = setup.jobs(3)
    waiting = setup.wait(known)
    await setup.asleep()
    setup.waiting.wake({})
    await setup.asleep()
    assert not waiting.done()
    setup.change(list(known)[2], 2, wake=False)
    setup.waiting.wake({})
    assert shown(await waiting) == {list(known)[2]: 2}


@pytest.mark.parametrize(("listening", "constant"), [(False, "ASK_ALONE_S"), (True, "ASK_ANYWAY_S")])
async def test_a_change_that_nobody_announced_is_found_by_asking(
    setup: PollSetup, monkeypatch: pytest.MonkeyPatch, listening: bool, constant: str
) -> None:
    setup.listening = listening
    monkeypatch.setattr(waiting_module, constant, 0.01)
    known = setup.jobs(3)
    waiting = setup.wait(known)
    await setup.asleep(asked=3)
    setup.change(list(known)[1], 2, wake=False)
    assert shown(await waiting) == {list(known)[1]: 2}


async def test_what_was_told_while_the_record_is_away_is_looked_at_again(
    setup: PollSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multi_poll, "ASK_ALONE_S", 0.001)
    first, second = known = setup.jobs(2)
    waiting = setup.wait(known)
    await setup.asleep()
    setup.store.script["find_changed"] += [refused()] * 3
    setup.change(first, 2)
    await setup.asleep(asked=3)
    assert shown(await waiting) == {first: 2}
    assert setup.record.jobs[second].version == 1


async def test_a_job_that_is_gone_ends_the_wait(setup: PollSetup) -> None:
    known = setup.jobs(2)
    waiting = setup.wait(known)
    await setup.asleep()
    gone, left = known
    del setup.record.jobs[gone]
    setup.waiting.wake({})
    found = await waiting
    assert (found.unknown, found.documents, found.open) == ([gone], [], {left: 1})


async def test_it_is_advised_to_come_back_when_the_first_job_may_have_changed(setup: PollSetup) -> None:
    setup.retry_s = {"slow": 20, "slower": 30, "default": 1}
    slow, slower, quick = (setup.jobs(lane=lane) for lane in ("slow", "slower", "default"))
    assert (await setup.ask(slow | slower)).retry_s == 20
    assert (await setup.ask(dict.fromkeys(slower | slow, 0))).retry_s == 20
    assert (await setup.ask(slow | quick)).retry_s == 1
    waiting = setup.wait(slow | slower)
    await setup.asleep()
    setup.change(next(iter(slower)), 3, JobState.SUCCEEDED)
    assert (await waiting).retry_s == 20


async def test_what_was_told_and_could_not_be_read_comes_with_the_next_change(setup: PollSetup) -> None:
    first, second = known = setup.jobs(2)
    waiting = setup.wait(known)
    await setup.asleep()
    setup.store.script["find_changed"].append(refused())
    setup.change(first, 2)
    await setup.asleep()
    setup.change(second, 2)
    assert shown(await waiting) == {first: 2, second: 2}
