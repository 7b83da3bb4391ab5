"""The subjects of the suites: for each port the real adapter on a clean server, and the fake that unit tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.api_key_store import PostgresApiKeyStore
from sluice.adapters.postgres.batch_store import PostgresBatchStore
from sluice.adapters.postgres.control_store import PostgresControlStore
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.adapters.postgres.lane_store import PostgresLaneStore
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.situation_store import PostgresSituationStore
from sluice.adapters.postgres.storage_store import PostgresStorageStore
from sluice.adapters.redis.ports import redis_ports
from sluice.core.access import OPERATOR, NewApiKey
from sluice.core.job import Job, NewJob
from sluice.core.ports import (
    ApiKeyRecord,
    ApiKeyStore,
    BatchStore,
    ControlStore,
    DocumentCache,
    JobStore,
    KeeperStore,
    LaneStore,
    ListingStore,
    LiveLogs,
    RateLedger,
    SituationStore,
    StatisticsBoard,
    StorageStore,
    Subscriptions,
)
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_api_key_store import FakeApiKeyStore
from tests.support.fake_batch_store import FakeBatchStore
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fake_lane_store import FakeLaneStore
from tests.support.fake_listing_store import FakeListingStore
from tests.support.fake_live_logs import FakeLiveLogs
from tests.support.fake_rate_ledger import FakeRateLedger
from tests.support.fake_situation_store import FakeSituationStore
from tests.support.fake_storage_store import FakeStorageStore
from tests.support.fakes import FakeCache
from tests.support.leases import expire, new_owner
from tests.support.make_jobs import new_job
from tests.support.servers import empty_postgres, settings_for

KINDS = {"demo.sum": 1, "demo.sleep": 1}
PAST = datetime(2020, 1, 1, tzinfo=UTC)


class FakeStores(FakeSituationStore, FakeKeeperStore, FakeApiKeyStore, FakeLaneStore, FakeStorageStore):
    """All that a record in memory can do for one process, and what a test does to it."""

    async def change_columns(self, job_id: str, columns: dict[str, Any]) -> None:
        self.jobs[job_id] = self.jobs[job_id]._replace(**columns)

    async def messages(self) -> list[tuple[str, str, tuple[str, ...]]]:
        return [(each.lane, each.priority, each.ids) for each in self.outbox.values()]

    async def make_due(self) -> None:
        self.taken.clear()

    async def expire(self, job_id: str) -> None:
        self.silent.add(job_id)

    async def offer_at(self, job_id: str, at: datetime | None) -> None:
        if at is not None:
            self.offered[job_id] = at + timedelta(seconds=60)

    async def serve(self, kind: str, version: int = 1) -> None:
        self.served[kind] = version

    async def add_key(self, key: ApiKeyRecord) -> None:
        self.keys[key.key_id] = key

    def leave(self) -> None:
        self.away = True


class Record(NamedTuple):
    """The stores of one process, and what a test does to the record.

    `change` sets columns of a job, `outbox` has lane, priority and ids of every message, `make_due` lets the time of all of
    them come, `expire` ends the lease of a job. `offer_at` lets a job have been offered at this time (None: leave it as it is),
    `serve` starts a consumer of this kind, in a version.
    """

    jobs: JobStore
    control: ControlStore
    listing: ListingStore
    keeper: KeeperStore
    api_keys: ApiKeyStore
    lanes: LaneStore
    situations: SituationStore
    storage: StorageStore
    batches: BatchStore
    change: Callable[[str, dict[str, Any]], Awaitable[object]]
    outbox: Callable[[], Awaitable[list[tuple[str, str, tuple[str, ...]]]]]
    make_due: Callable[[], Awaitable[object]]
    expire: Callable[[str], Awaitable[object]]
    offer_at: Callable[[str, datetime | None], Awaitable[object]]
    serve: Callable[..., Awaitable[object]]
    add_key: Callable[[ApiKeyRecord], Awaitable[object]]
    leave: Callable[[], object]

    async def accepted(self, *jobs: NewJob, **changes: Any) -> list[str]:
        """Ids of these jobs, or of one new job, once they are in the record."""
        new = list(jobs) or [new_job(**changes)]
        assert (await self.jobs.accept(new)).ids == {job.id for job in new}
        return [job.id for job in new]

    async def claimed(self, **changes: Any) -> Job:
        """A job that this process runs."""
        (job,) = await self.jobs.claim(await self.accepted(**changes), KINDS)
        return job

    async def job(self, job_id: str) -> Job:
        """As it is looked up."""
        return (await self.jobs.look_up([job_id]))[job_id]


@pytest.fixture
async def database(servers: Servers | None) -> AsyncIterator[Database | None]:
    """An empty PostgreSQL; None for a fake."""
    if servers is None:
        yield None
        return
    servers.up(servers.postgres)
    await empty_postgres(servers)
    database = Database(servers.postgres.url, "tests", Telemetry(), size=10)
    yield database
    await database.close()


@pytest.fixture
async def record(servers: Servers | None, database: Database | None) -> AsyncIterator[Record]:
    """An empty one."""
    if servers is None or database is None:
        yield _in_memory()
        return
    sql = await asyncpg.connect(servers.postgres.url)
    yield await _on_postgresql(servers, database, sql)
    sql.terminate()  # it may have been cut off already


def _in_memory() -> Record:
    fake = FakeStores()
    return Record(
        fake, fake, FakeListingStore(fake), fake, fake, fake, fake, fake, FakeBatchStore(fake), fake.change_columns, fake.messages, fake.make_due,
        fake.expire, fake.offer_at, fake.serve, fake.add_key, fake.leave,
    )  # fmt: skip


async def _on_postgresql(
    servers: Servers, database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> Record:
    owner, settings = await new_owner(sql), settings_for(servers, **PATIENT)
    api_keys, access = PostgresApiKeyStore(database, 5), PostgresAccessStore(database, 5)

    async def change(job_id: str, columns: dict[str, Any]) -> None:
        for name, value in columns.items():
            await sql.execute(f"update jobs set {name} = $2 where id = $1", job_id, value)  # noqa: S608  a column

    async def outbox() -> list[tuple[str, str, tuple[str, ...]]]:
        rows = await sql.fetch("select lane, priority, ids::text[] from outbox order by id")
        return [(lane, priority, tuple(ids)) for lane, priority, ids in rows]

    async def offer_at(job_id: str, at: datetime | None) -> None:
        if at is not None:
            until = "update jobs set offered_until = $2::timestamptz + interval '60 seconds' where id = $1"
            await sql.execute(until, job_id, at)

    return Record(
        PostgresJobStore(database, owner, settings), PostgresControlStore(database, settings),
        PostgresListingStore(database, settings), PostgresKeeperStore(database, owner), api_keys,
        PostgresLaneStore(database, 5), PostgresSituationStore(database, 5),
        PostgresStorageStore(database, 5),
        PostgresBatchStore(database, settings), change, outbox,
        lambda: sql.execute("update outbox set due = now()"),
        lambda job_id: expire(sql, job_id), offer_at, lambda kind, version=1: new_owner(sql, kinds=[kind], version=version),
        lambda key: access.insert_api_key(NewApiKey(*key[:4]), OPERATOR), servers.postgres.kill,
    )  # fmt: skip


PATIENT = {"record_budget_s": 30, "accept_budget_s": 30, "redis_budget_s": 30}
"""What servers do is looked at here, not how fast: on a busy machine, an answer may take longer than a request would wait."""


class Cache(NamedTuple):
    """What Redis is for; `leave` makes it go away."""

    documents: DocumentCache
    subscriptions: Subscriptions
    board: StatisticsBoard
    live_logs: LiveLogs
    rates: RateLedger
    leave: Callable[[], object]


@pytest.fixture(params=["fake", "real"])
def servers(request: pytest.FixtureRequest) -> Servers | None:
    """The servers behind the subject; None for a fake. Not async: they start in a loop of their own."""
    return None if request.param == "fake" else request.getfixturevalue("shared_servers")


@pytest.fixture
async def cache(servers: Servers | None) -> AsyncIterator[Cache]:
    """An empty one."""
    if servers is None:
        fake = FakeCache()
        live, rates = FakeLiveLogs(), FakeRateLedger()

        def leave() -> None:
            fake.away = live.away = rates.away = True

        yield Cache(fake, fake, fake, live, rates, leave)
        return
    servers.up(servers.redis)
    async with redis.Redis.from_url(servers.redis.url) as client:
        await client.flushall()
    identity = RecordIdentity()
    identity.learn("contract")
    real = redis_ports(settings_for(servers, **PATIENT), "tests", Telemetry(), identity)
    yield Cache(real.cache, real.subscriptions, real.board, real.live_logs, real.rates, servers.redis.kill)
    await real.close()
