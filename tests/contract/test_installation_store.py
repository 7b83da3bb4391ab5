"""What every InstallationStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, timedelta
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.installation_store import PostgresInstallationStore
from sluice.adapters.postgres.pool import Database
from sluice.core.errors import Malformed, ServerAway
from sluice.core.installation import SeenConsumer
from sluice.core.ports import InstallationStore
from sluice.core.queue_stats import LaneWork, Works, read_works, write_works
from tests.support.fake_installation_store import FakeInstallationStore

BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
WORKS = {"default": LaneWork(slots=8, per_second=1.5, running=3, memory=1 << 20)}


class Watched(NamedTuple):
    """A store; `start` lets a consumer renew its lease some seconds ago, with this report."""

    store: InstallationStore
    start: Callable[[bytes, float], Awaitable[str]]
    leave: Callable[[], object]


@pytest.fixture
async def watched(servers: Servers | None, database: Database | None) -> AsyncIterator[Watched]:
    """An empty one."""
    if servers is None or database is None:
        yield _in_memory()
        return
    sql = await asyncpg.connect(servers.postgres.url)

    async def start(report: bytes, silent_s: float) -> str:
        lease = str(uuid4())
        await sql.execute(
            "insert into consumers (id, host, pid, release, lanes, kinds, versions, statistics, seen_at, lease_until) values ($1, 'a-host', 7,"
            " '0.2.0', '{default,heavy}', '{}', '{}', $2::jsonb, now() - $3 * interval '1 second', now() + (10 - $3) * interval '1 second')",
            lease, report.decode(), silent_s,
        )  # fmt: skip
        return lease

    yield Watched(PostgresInstallationStore(database, 5), start, servers.postgres.kill)
    sql.terminate()


def _in_memory() -> Watched:
    fake = FakeInstallationStore()

    async def start(report: bytes, silent_s: float) -> str:
        seen = SeenConsumer(
            str(uuid4()), "a-host", 7, "0.2.0", ["default", "heavy"], _works(report), fake.now, fake.now - timedelta(seconds=silent_s),
            silent_s, silent_s < 10,
        )  # fmt: skip
        fake.consumers.append(seen)
        return seen.id

    def leave() -> None:
        fake.away = True

    return Watched(fake, start, leave)


def _works(report: bytes) -> Works:
    try:
        return read_works(report)
    except Malformed:
        return {}


async def test_a_consumer_is_shown_with_what_it_said_of_itself(watched: Watched) -> None:
    lease = await watched.start(write_works(WORKS), 3)
    (seen,) = await watched.store.list_consumers(BEFORE_ALL, 9)
    assert seen[:5] == (lease, "a-host", 7, "0.2.0", ["default", "heavy"])
    assert (seen.works, seen.lives) == (WORKS, True)
    assert 3 <= seen.silent_s < 8
    assert seen.started_at.tzinfo == UTC
    assert seen.seen_at < seen.started_at


async def test_one_whose_lease_is_over_is_shown_as_such(watched: Watched) -> None:
    await watched.start(b"{}", 60)
    (seen,) = await watched.store.list_consumers(BEFORE_ALL, 9)
    assert (seen.works, seen.lives) == ({}, False)


async def test_a_report_of_another_release_hides_no_consumer(watched: Watched) -> None:
    await watched.start(b'{"default":"busy"}', 0)
    (seen,) = await watched.store.list_consumers(BEFORE_ALL, 9)
    assert seen.works == {}


async def test_consumers_come_page_by_page(watched: Watched) -> None:
    leases = sorted([await watched.start(b"{}", 0) for _ in range(5)])
    first = await watched.store.list_consumers(BEFORE_ALL, 2)
    rest = await watched.store.list_consumers(first[-1].id, 9)
    assert [each.id for each in [*first, *rest]] == leases


async def test_the_record_is_described_by_its_catalogue(watched: Watched) -> None:
    facts = await watched.store.describe_record()
    assert facts.release[:2].isdigit()
    assert facts.revision == facts.newest_revision >= "0011"
    assert facts.oldest_transaction_s is None or facts.oldest_transaction_s < 60
    sizes = {table.name: table for table in facts.tables}
    assert sizes["jobs"].size > 0
    assert sizes["jobs"].rows >= 0
    assert [table.size for table in facts.tables] == sorted(
        (each.size for each in facts.tables), reverse=True
    )


async def test_a_record_that_is_away_says_so_of_the_installation(watched: Watched) -> None:
    watched.leave()
    for call in (watched.store.list_consumers(BEFORE_ALL, 9), watched.store.describe_record()):
        with pytest.raises(ServerAway):
            await call
