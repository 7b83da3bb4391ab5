"""A store on the real PostgreSQL, and a second hand on its tables that looks and meddles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from infra.local.servers import Servers
from sluice.adapters.postgres.control_store import PostgresControlStore
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server import PostgresServer
from sluice.core.document import render
from sluice.core.job import Job, Message, NewJob
from sluice.core.lifecycle import released
from sluice.core.owner import Owner
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fakes import Events
from tests.support.leases import expire, give_lease, rescue
from tests.support.make_jobs import aged_id, ids_of, new_job
from tests.support.servers import settings_for

OTHERS = 20
"""Other processes that a test may have."""
KINDS = {"demo.sum": 1, "demo.sleep": 1}


class Row(NamedTuple):
    """A row of the outbox."""

    id: int
    lane: str
    priority: str
    ids: list[str]
    seconds: float


class Record:
    """The stores as a process with the id `owner` has them; `sql` is a connection of the test's own."""

    def __init__(self, servers: Servers, sql: asyncpg.Connection[asyncpg.Record], **settings: object) -> None:
        self.events, self.owner, self.sql = Events(), Owner(), sql
        self._others = [Owner() for _ in range(OTHERS)]
        self._servers = servers
        self.settings = settings_for(servers, **settings)
        self.database = Database(servers.postgres.url, "tests", Telemetry(self.events), size=10)
        self.store = PostgresJobStore(self.database, self.owner, self.settings)
        self.control = PostgresControlStore(self.database, self.settings)
        self.keeper = PostgresKeeperStore(self.database, self.owner)
        self.server = PostgresServer(self.database, self.settings.record_budget_s)

    def another(self) -> Owner:
        """The lease of another process."""
        return self._others.pop()

    def other(self, owner: Owner | None = None) -> PostgresJobStore:
        """The store as another process has it; the connections are shared."""
        return PostgresJobStore(self.database, owner or self.another(), self.settings)

    async def begin(self) -> None:
        """Give every process its lease."""
        for owner in (self.owner, *self._others):
            await give_lease(self.sql, owner)

    async def accepted(self, *jobs: NewJob, **changes: Any) -> list[str]:
        """Ids of these jobs, or of one new job, once they are in the record."""
        new = list(jobs) or [new_job(**changes)]
        found = await self.store.accept(new)
        assert found.ids == set(ids_of(new))
        return ids_of(new)

    async def claimed(self, *jobs: NewJob, **changes: Any) -> Job:
        """One job, accepted and claimed by this process."""
        (job_id,) = await self.accepted(*jobs, **changes)
        return await self.claim(job_id)

    async def claim(self, job_id: str) -> Job:
        """Claim a job that is queued."""
        (job,) = await self.store.claim([job_id], KINDS)
        return job

    async def finished(self, ago_s: float, **changes: Any) -> str:
        """A job that was made when it finished: so many seconds ago."""
        job = await self.claimed(**({"id": aged_id(ago_s)} | changes))
        await self.finish(job.id, ago_s)
        return job.id

    async def finish(self, job_id: str, ago_s: float) -> None:
        """Let a running job have finished so many seconds ago."""
        at = f"now() - {ago_s} * interval '1 second'"
        await self.change(
            job_id,
            f"state = 'succeeded', result = '1', finished_at = {at}, owner = null,"
            f" expires_at = {at} + keep_s * interval '1 second'",
        )

    async def left(self) -> set[str]:
        """The ids of all jobs."""
        return {row[0] for row in await self.sql.fetch("select id::text from jobs")}

    async def give_back(self, *held: Job) -> None:
        """As a consumer that stops does with what it holds."""
        await self.store.settle([released(job) for job in held])

    async def job(self, job_id: str) -> Job:
        """The job as it is looked up."""
        return (await self.store.look_up([job_id]))[job_id]

    async def row(self, job_id: str) -> asyncpg.Record:
        """Every column of a job."""
        row = await self.sql.fetchrow("select * from jobs where id = $1", UUID(job_id))
        assert row is not None
        return row

    async def state(self, job_id: str) -> str:
        """Its state alone."""
        return str((await self.row(job_id))["state"])

    async def outbox(self) -> list[Row]:
        """Every row of the outbox, and in how many seconds it is due."""
        rows = await self.sql.fetch(
            "select id, lane, priority, ids::text[], extract(epoch from due - now())::float8 from outbox order by id"
        )
        return [Row(*row) for row in rows]

    async def empty_outbox(self) -> None:
        """As if everything had been published and confirmed."""
        await self.sql.execute("delete from outbox")

    async def attempts(self, job_id: str) -> list[asyncpg.Record]:
        """The attempts that did not succeed, in order."""
        return await self.sql.fetch("select * from attempts where job_id = $1 order by fence", UUID(job_id))

    async def change(self, job_id: str, assignments: str) -> None:
        """Meddle with one row."""
        await self.sql.execute(f"update jobs set {assignments} where id = $1", UUID(job_id))  # noqa: S608  of the test

    async def ask_to_cancel(self, job_id: str) -> None:
        """As the api does for a running job."""
        await self.change(job_id, "cancel_requested_at = now(), version = version + 1")

    async def expire(self, *ids: str) -> None:
        """As if their consumer had fallen silent."""
        await expire(self.sql, *ids)

    async def rescue(self) -> list[Job]:
        """As a keeper does."""
        return await rescue(self.keeper)

    @asynccontextmanager
    async def locked(self, statement: str, *args: Any) -> AsyncIterator[asyncpg.connection.Connection[Any]]:
        """Somebody else's open transaction that has run a statement."""
        connection = await asyncpg.connect(self._servers.postgres.url)
        try:
            await connection.execute("begin")
            await connection.execute(statement, *args)
            yield connection
        finally:
            await connection.close()

    async def until_waiting(self, count: int = 1) -> None:
        """Return once so many statements wait for a lock; the time limit of the test is the deadline."""
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'tests'"
        while await self.sql.fetchval(waiting) < count:
            pass


def ids_in(rows: Sequence[Row] | Sequence[Message]) -> list[str]:
    """Every id they carry, in order."""
    return [each for row in rows for each in row.ids]


def body(job: Job) -> bytes:
    """The document of a job."""
    return render(job).body


@asynccontextmanager
async def open_record(servers: Servers, **settings: object) -> AsyncIterator[Record]:
    """Open an empty record in which every process has its lease, with these settings."""
    sql = await asyncpg.connect(servers.postgres.url)
    record = Record(servers, sql, **settings)
    await record.begin()
    try:
        yield record
    finally:
        await record.database.close()
        sql.terminate()  # it may have been cut off already
