"""Leases: they are renewed until they are over, and nothing is claimed under one that is over or about to be."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import orjson
import pytest

from infra.local.servers import Servers
from sluice import __version__
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.lease_store import PostgresLeaseStore, Serves, open_lease_store
from sluice.core.errors import LeaseOver, ServerAway
from sluice.core.job import Job
from sluice.core.lanes import Turns
from sluice.core.lifecycle import succeeded
from sluice.core.owner import Owner, claim_holds_s
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import ids_of, new_job, new_jobs

LEASE_S = 50.0


class Process:
    """A consumer that is not of the fixture: its lease, and the two ways in which it claims."""

    def __init__(self, record: Record, owner: Owner, lease: PostgresLeaseStore) -> None:
        self.owner, self.lease, self._record = owner, lease, record
        self._hold_s = claim_holds_s(record.settings.lease_s)
        self.jobs = PostgresJobStore(record.database, owner, record.settings)

    async def claim(self, *ids: str) -> list[Job]:
        """Claim by hints."""
        return await self.jobs.claim(ids, KINDS)

    async def poll(self, *_: str) -> list[Job]:
        """Claim without."""
        return await self.jobs.pull("default", 10, KINDS, Turns().had)

    async def row(self) -> asyncpg.Record:
        """Return its lease, and how long that holds."""
        row = await self._record.sql.fetchrow(
            "select *, extract(epoch from lease_until - clock_timestamp())::float8 as left_s from consumers where id = $1",
            self.owner.id,
        )
        assert row is not None
        return row

    async def let_it_hold(self, beyond_a_claim_s: float) -> None:
        """Let the lease hold so much longer than a claim has to be sure of."""
        await self._record.sql.execute(
            "update consumers set lease_until = clock_timestamp() + $2 * interval '1 second' where id = $1",
            self.owner.id,
            self._hold_s + beyond_a_claim_s,
        )


@pytest.fixture
async def process(record: Record, servers: Servers) -> AsyncIterator[Process]:
    owner = Owner()
    lease = await open_lease_store(servers.postgres.url, owner, Serves(["default", "heavy"], KINDS), LEASE_S)
    yield Process(record, owner, lease)
    await lease.close()


both_ways = pytest.mark.parametrize("way", [Process.claim, Process.poll], ids=["claim", "poll"])
Way = Callable[..., Awaitable[list[Job]]]


async def test_a_lease_says_whose_it_is_and_is_renewed_with_a_report(process: Process) -> None:
    await process.lease.take()
    taken = await process.row()
    assert (taken["pid"], taken["release"], taken["lanes"]) == (
        os.getpid(),
        __version__,
        ["default", "heavy"],
    )
    await process.let_it_hold(0)
    assert await process.lease.renew(b'{"default":{}}')
    row = await process.row()
    assert LEASE_S - 5 < row["left_s"] <= LEASE_S
    assert orjson.loads(row["statistics"]) == {"default": {}}
    assert row["seen_at"] > row["started_at"]


async def test_a_lease_that_is_over_is_over_for_ever(process: Process) -> None:
    await process.lease.take()
    await process.let_it_hold(-10)
    before = await process.row()
    assert not await process.lease.renew(b"{}")
    assert (await process.row())["lease_until"] == before["lease_until"]
    process.owner.replace()
    await process.lease.take()
    assert await process.lease.renew(b"{}")


@both_ways
async def test_nothing_is_claimed_without_a_lease(record: Record, process: Process, way: Way) -> None:
    ids = await record.accepted(*new_jobs(3))
    with pytest.raises(LeaseOver):
        await way(process, *ids)
    assert [await record.state(each) for each in ids] == ["queued"] * 3
    await process.lease.take()
    assert sorted(ids_of(await way(process, *ids))) == sorted(ids)


@both_ways
@pytest.mark.parametrize("beyond_s", [-60, -0.1])
async def test_nothing_is_claimed_under_a_lease_that_is_over_or_about_to_be(
    record: Record, process: Process, way: Way, beyond_s: float
) -> None:
    (job_id,) = await record.accepted()
    await process.lease.take()
    await process.let_it_hold(beyond_s)
    with pytest.raises(LeaseOver):
        await way(process, job_id)
    row = await record.row(job_id)
    assert (row["state"], row["fence"], row["attempt"], row["owner"]) == ("queued", 0, 0, None)
    await process.let_it_hold(30)
    assert ids_of(await way(process, job_id)) == [job_id]
    assert (await record.row(job_id))["owner"] == process.owner.id


@both_ways
async def test_a_lease_that_is_over_is_no_matter_where_there_is_nothing_to_claim(
    record: Record, process: Process, way: Way
) -> None:
    running = await record.claimed()
    assert await way(process, running.id) == []


async def test_a_lease_is_ended_only_after_every_claim_that_may_be_under_way(
    record: Record, process: Process
) -> None:
    (job_id,) = await record.accepted()
    await process.lease.take()
    await process.lease.end()
    hold_s = claim_holds_s(LEASE_S)
    assert hold_s - 2 < (await process.row())["left_s"] <= hold_s
    assert await record.keeper.take_dead_leases() == []
    await process.let_it_hold(-60)
    before = await process.row()
    await process.lease.end()
    assert (await process.row())["lease_until"] == before["lease_until"], "it is not made longer"
    with pytest.raises(LeaseOver):
        await process.claim(job_id)


async def test_what_ran_under_a_lease_goes_on_under_no_other(record: Record, process: Process) -> None:
    (job_id,) = await record.accepted()
    await process.lease.take()
    await process.claim(job_id)
    assert ids_of(await process.jobs.recover_lost_claims([job_id])) == [job_id]
    process.owner.replace()
    await process.lease.take()
    assert await process.jobs.recover_lost_claims([job_id]) == []


# Jobs in hand


async def test_progress_is_kept_and_makes_a_new_version(record: Record, process: Process) -> None:
    job = await record.claimed()
    assert await process.lease.store_progress({job.claim: b'{"percent":1}'}) == {job.id: 3}
    assert (await record.job(job.id)).progress == b'{"percent":1}'


async def test_progress_of_claims_that_are_lost_is_left_out(record: Record, process: Process) -> None:
    jobs = await record.store.claim(await record.accepted(*new_jobs(4)), KINDS)
    kept, ended, taken, returned = jobs
    await record.store.settle([succeeded(ended, b"{}")])
    await record.give_back(taken, returned)
    await record.claim(taken.id)
    before = await record.row(taken.id)
    assert await process.lease.store_progress({job.claim: b"1" for job in jobs}) == {kept.id: 3}
    assert await record.row(taken.id) == before


async def test_a_lease_that_is_over_does_not_hinder_progress_until_its_jobs_are_rescued(
    record: Record, process: Process
) -> None:
    await process.lease.take()
    (job,) = await process.claim(*await record.accepted())
    await process.let_it_hold(-60)
    assert await process.lease.store_progress({job.claim: b"1"}) == {job.id: 3}
    assert ids_of(await record.rescue()) == [job.id]
    assert await process.lease.store_progress({job.claim: b"2"}) == {}


async def test_only_cancels_that_were_asked_for_are_told(record: Record, process: Process) -> None:
    wanted, other = await record.claimed(), await record.claimed()
    await record.ask_to_cancel(wanted.id)
    assert await process.lease.find_cancels([wanted.claim, other.claim]) == [wanted.claim]
    assert await process.lease.find_cancels([wanted.claim._replace(fence=2), other.claim]) == []


async def test_a_lease_without_postgresql_is_told_so(servers: Servers, process: Process) -> None:
    await process.lease.take()
    servers.postgres.kill()
    with pytest.raises(ServerAway):
        await process.lease.renew(b"{}")
    with pytest.raises(ServerAway):
        await open_lease_store(servers.postgres.url, process.owner, Serves([], {}), LEASE_S)


async def test_one_claim_of_many_is_refused_as_a_whole(record: Record, process: Process) -> None:
    ids = await record.accepted(*new_jobs(30), new_job(lane="heavy"))
    with pytest.raises(LeaseOver):
        await process.claim(*ids)
    assert await record.sql.fetchval("select count(*) from jobs where state = 'queued' and fence = 0") == 31


@both_ways
async def test_what_was_claimed_while_the_lease_was_lost_is_left_to_its_rescue(
    process: Process, record: Record, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    await process.lease.take()
    fetch = record.database.fetch

    async def fetch_as_the_lease_is_lost(*arguments: object, **options: float) -> object:
        rows = await fetch(*arguments, **options)  # type: ignore[arg-type]  # whatever the store asks for
        process.owner.replace()
        return rows

    (job_id,) = await record.accepted()
    lease = process.owner.id
    monkeypatch.setattr(record.database, "fetch", fetch_as_the_lease_is_lost)
    with pytest.raises(LeaseOver):
        await way(process, job_id)
    row = await record.row(job_id)
    assert (row["state"], row["owner"]) == ("running", lease)


async def test_progress_of_a_locked_job_holds_up_that_of_no_other(record: Record, process: Process) -> None:
    held, free = await record.store.claim(await record.accepted(*new_jobs(2)), KINDS)
    news = {job.claim: b"1" for job in (held, free)}
    async with record.locked("select from jobs where id = $1 for update", held.id):
        assert await process.lease.store_progress(news) == {free.id: 3}
    assert await process.lease.store_progress({held.claim: b"1"}) == {held.id: 3}


async def test_a_claim_may_leave_out_what_is_locked(record: Record, process: Process) -> None:
    await process.lease.take()
    held, free = await record.accepted(*new_jobs(2))
    async with record.locked("select from jobs where id = $1 for update", held):
        assert ids_of(await process.jobs.claim([held, free], KINDS, skip_locked=True)) == [free]
    assert ids_of(await process.jobs.claim([held, free], KINDS, skip_locked=True)) == [held]
