"""What every HeartbeatStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from uuid import uuid4

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.control_store import PostgresControlStore
from sluice.adapters.postgres.heartbeat_store import open_heartbeat
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.pool import Database
from sluice.core.errors import ServerAway
from sluice.core.job import Claim
from sluice.core.lifecycle import released
from sluice.core.ports import Beat, HeartbeatStore
from tests.contract.conftest import KINDS
from tests.support.fake_heartbeat_store import FakeHeartbeatStore
from tests.support.make_jobs import new_job
from tests.support.servers import settings_for


class Heartbeat(NamedTuple):
    """A store, two claims that hold, and what may become of a claim."""

    store: HeartbeatStore
    claims: tuple[Claim, Claim]
    lose: Callable[[Claim], Awaitable[object]]
    ask_to_cancel: Callable[[Claim], Awaitable[object]]
    leave: Callable[[], object]


@pytest.fixture
async def heartbeat(servers: Servers | None, database: Database | None) -> AsyncIterator[Heartbeat]:
    """A heartbeat with two claims."""
    if servers is None or database is None:
        yield _in_memory()
        return
    store = await open_heartbeat(servers.postgres.url, 60)
    yield await _on_postgresql(servers, database, store)
    await store.close()


def _in_memory() -> Heartbeat:
    fake = FakeHeartbeatStore()

    async def lose(claim: Claim) -> None:
        fake.lost.add(claim)

    async def ask_to_cancel(claim: Claim) -> None:
        fake.cancelled.add(claim)

    claims = Claim(new_job().id, 1), Claim(new_job().id, 1)
    return Heartbeat(fake, claims, lose, ask_to_cancel, lambda: setattr(fake, "away", True))


async def _on_postgresql(servers: Servers, database: Database, store: HeartbeatStore) -> Heartbeat:
    settings = settings_for(servers)
    jobs, control = PostgresJobStore(database, uuid4(), settings), PostgresControlStore(database, settings)
    accepted = await jobs.accept([new_job(), new_job()])
    first, second = await jobs.claim([*accepted.ids], KINDS)
    held = {job.claim: job for job in (first, second)}
    return Heartbeat(
        store,
        (first.claim, second.claim),
        lambda claim: jobs.settle([released(held[claim])]),
        lambda claim: control.cancel("acme", claim.id),
        servers.postgres.kill,
    )


async def test_a_claim_that_holds_is_renewed_and_progress_makes_a_version(heartbeat: Heartbeat) -> None:
    quiet, busy = heartbeat.claims
    beats = await heartbeat.store.beat([(quiet, None), (busy, b'{"percent":1}')])
    assert sorted(beats) == sorted([Beat(*quiet, False, 2, False), Beat(*busy, False, 3, True)])
    assert await heartbeat.store.beat([(busy, None)]) == [Beat(*busy, False, 3, False)]


async def test_a_claim_that_was_lost_is_left_out(heartbeat: Heartbeat) -> None:
    kept, lost = heartbeat.claims
    await heartbeat.lose(lost)
    assert [beat[:2] for beat in await heartbeat.store.beat([(lost, b"1"), (kept, None)])] == [kept]


async def test_a_cancel_is_told_with_the_beat(heartbeat: Heartbeat) -> None:
    claim, _ = heartbeat.claims
    await heartbeat.ask_to_cancel(claim)
    assert await heartbeat.store.beat([(claim, None)]) == [Beat(*claim, True, 3, False)]


async def test_a_record_that_is_away_says_so(heartbeat: Heartbeat) -> None:
    heartbeat.leave()
    with pytest.raises(ServerAway):
        await heartbeat.store.beat([(heartbeat.claims[0], None)])
