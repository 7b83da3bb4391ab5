"""A statement is cut off at each of its waits in turn: its work is in the record as a whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from types import coroutine
from typing import Any

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server import PostgresServer
from sluice.core.job import Job, NewJob
from sluice.core.lifecycle import Failure, released, retried, succeeded
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_job
from tests.support.waiting import until_found

MOST_WAITS = 30
AGAIN = Failure("handler-error", "LookupError", retryable=True)


class Cut:
    """Waits with a call until its `nth` wait, and cuts it off there; `reached` says whether it came so far."""

    def __init__(self, nth: int, how: str, database: Database) -> None:
        self._nth, self._how, self._database = nth, how, database
        self.reached = False

    @coroutine
    def off(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, None]:
        """The work, with an error in its middle: of its own, or of a connection that is gone."""
        step: Callable[[Any], Any] = work.send
        argument: Any = None
        waits = 0
        while True:
            try:
                wish = step(argument)
            except StopIteration:
                return
            waits += 1
            if waits == self._nth:
                self.reached = True
                self._cut()
            try:
                argument = yield wish
                step = work.send
            except BaseException as error:  # noqa: BLE001  handed on to the work
                step, argument = work.throw, error
            if waits == self._nth and self._how == "raise":
                step, argument = work.throw, ConnectionResetError("cut off")

    def _cut(self) -> None:
        if self._how == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        elif self._how == "terminate":
            assert self._database._pool is not None
            self._database._pool.terminate()


class Attempted:
    """Cuts off an operation of a store of its own at one of its waits."""

    def __init__(self, servers: Servers, record: Record) -> None:
        self._servers, self._record = servers, record

    async def at(self, nth: int, how: str, operate: Callable[[PostgresJobStore], Awaitable[object]]) -> bool:
        """Whether there was such a wait; afterwards nothing is under way any more."""
        database = Database(self._servers.postgres.url, "cut", Telemetry(), size=1)
        store = PostgresJobStore(database, self._record.owner, self._record.settings)
        await PostgresServer(database, 5).ping()
        cut = Cut(nth, how, database)

        async def work() -> None:
            await operate(store)

        with suppress(SluiceError, asyncio.CancelledError):
            await asyncio.create_task(_as_coroutine(cut, work()))
        await database.close()
        await until_found(self._is_quiet)
        return cut.reached

    async def _is_quiet(self) -> bool:
        query = "select count(*) = 0 from pg_stat_activity where application_name = 'cut'"
        return bool(await self._record.sql.fetchval(query))


async def _as_coroutine(cut: Cut, work: Coroutine[Any, Any, Any]) -> None:
    await cut.off(work)


@pytest.fixture
def attempted(servers: Servers, record: Record) -> Attempted:
    return Attempted(servers, record)


ways = pytest.mark.parametrize("how", ["raise", "terminate", "cancel"])


async def each_wait(trial: Callable[[int], Awaitable[bool]]) -> int:
    """Try every wait; returns how many there were."""
    for nth in range(1, MOST_WAITS):
        if not await trial(nth):
            return nth - 1
    raise AssertionError("it never ended")


@ways
async def test_an_accept_leaves_job_key_and_message_or_nothing(
    record: Record, attempted: Attempted, how: str
) -> None:
    seen = set()

    async def trial(nth: int) -> bool:
        job = new_job(key=f"{how} {nth}", request_hash=b"-")
        reached = await attempted.at(nth, how, lambda store: store.accept([job]))
        seen.add(await parts_of(record, job))
        await record.store.accept([job])  # as a client does that was told nothing
        assert await parts_of(record, job) == (1, 1, 1)
        return reached

    assert await each_wait(trial) >= 1
    assert seen <= {(0, 0, 0), (1, 1, 1)}


@ways
async def test_a_claim_is_found_under_its_owner_or_can_be_made_again(
    record: Record, attempted: Attempted, how: str
) -> None:
    async def trial(nth: int) -> bool:
        (job_id,) = await record.accepted()
        reached = await attempted.at(nth, how, lambda store: store.claim([job_id], KINDS))
        found = await record.store.recover_lost_claims([job_id]) + await record.store.claim([job_id], KINDS)
        assert [(job.id, job.state, job.fence, job.attempt) for job in found] == [(job_id, "running", 1, 1)]
        return reached

    assert await each_wait(trial) >= 1


@ways
async def test_an_ending_is_written_once_with_all_that_belongs_to_it(
    record: Record, attempted: Attempted, how: str
) -> None:
    async def trial(nth: int) -> bool:
        done, again, back = [await record.claimed() for _ in range(3)]
        await record.empty_outbox()
        endings = [succeeded(done, b"1"), retried(again, AGAIN, 60), released(back)]
        reached = await attempted.at(nth, how, lambda store: store.settle(endings))
        written = await ended(record, done, again, back)
        assert written in (("running",) * 3, ("succeeded", "scheduled", "queued"))
        assert len(await record.store.settle(endings)) == (3 if written[0] == "running" else 0)
        assert await ended(record, done, again, back) == ("succeeded", "scheduled", "queued")
        outcomes = [len(await record.attempts(job.id)) for job in (done, again, back)]
        assert (outcomes, [row.ids for row in await record.outbox()]) == ([0, 1, 1], [[back.id]])
        return reached

    assert await each_wait(trial) >= 1


async def parts_of(record: Record, job: NewJob) -> tuple[int, int, int]:
    """How often the record has the job, its key and its message."""
    query = """select (select count(*) from jobs where id = $1),
                      (select count(*) from idempotency_keys where key = $2 and job_id = $1),
                      (select count(*) from outbox where $1 = any(ids))"""
    row = await record.sql.fetchrow(query, job.id, job.key)
    assert row is not None
    return row[0], row[1], row[2]


async def ended(record: Record, *jobs: Job) -> tuple[str, ...]:
    """Their states."""
    return tuple([await record.state(job.id) for job in jobs])
