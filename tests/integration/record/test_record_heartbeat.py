"""Heartbeat: leases are extended for whoever holds the fence, over a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.heartbeat_store import PostgresHeartbeatStore, open_heartbeat
from sluice.core.errors import ServerAway
from sluice.core.job import Claim, Job
from sluice.core.lifecycle import succeeded
from sluice.core.ports import Beat
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_jobs


@pytest.fixture
async def heartbeat(servers: Servers) -> AsyncIterator[PostgresHeartbeatStore]:
    connection = await open_heartbeat(servers.postgres.url, 50)
    yield connection
    await connection.close()


def claim_of(job: Job) -> Claim:
    return job.claim


async def test_a_beat_extends_the_lease_and_shows_nothing_new(
    record: Record, heartbeat: PostgresHeartbeatStore
) -> None:
    job = await record.claimed()
    assert await heartbeat.beat([(claim_of(job), None)]) == [Beat(job.id, 1, False, 2, False)]
    left = await record.sql.fetchval(
        "select extract(epoch from lease_until - clock_timestamp())::float8 from jobs"
    )
    assert 45 < left <= 50


async def test_progress_is_kept_and_makes_a_new_version(
    record: Record, heartbeat: PostgresHeartbeatStore
) -> None:
    job = await record.claimed()
    assert await heartbeat.beat([(claim_of(job), b'{"percent":1}')]) == [Beat(job.id, 1, False, 3, True)]
    assert await heartbeat.beat([(claim_of(job), None)]) == [Beat(job.id, 1, False, 3, False)]
    assert (await record.job(job.id)).progress == b'{"percent":1}'


async def test_claims_that_are_lost_are_left_out(record: Record, heartbeat: PostgresHeartbeatStore) -> None:
    jobs = await record.store.claim(await record.accepted(*new_jobs(4)), KINDS)
    kept, ended, taken, returned = jobs
    await record.store.settle([succeeded(ended, b"{}")])
    await record.give_back(taken, returned)
    await record.claim(taken.id)
    before = await record.row(taken.id)
    beats = await heartbeat.beat([(claim_of(job), b"1") for job in jobs])
    assert [(beat.id, beat.fence) for beat in beats] == [claim_of(kept)]
    assert await record.row(taken.id) == before


async def test_a_cancel_is_told_with_the_beat(record: Record, heartbeat: PostgresHeartbeatStore) -> None:
    job = await record.claimed()
    await record.ask_to_cancel(job.id)
    (beat,) = await heartbeat.beat([(claim_of(job), None)])
    assert beat.cancel_requested


async def test_a_lease_that_ran_out_but_was_not_taken_can_still_be_extended(
    record: Record, heartbeat: PostgresHeartbeatStore
) -> None:
    job = await record.claimed()
    await record.expire(job.id)
    assert len(await heartbeat.beat([(claim_of(job), None)])) == 1
    assert await record.keeper.rescue(10) == []


async def test_a_heartbeat_without_postgresql_is_told_so(
    servers: Servers, heartbeat: PostgresHeartbeatStore
) -> None:
    servers.postgres.kill()
    with pytest.raises(ServerAway):
        await heartbeat.beat([(Claim("01900000-0000-7000-8000-000000000000", 1), None)])
    with pytest.raises(ServerAway):
        await open_heartbeat(servers.postgres.url, 50)
