"""Rescue: the jobs of every consumer whose lease is over come back, each once, and nobody else's."""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple
from uuid import UUID

import orjson
import pytest

from consumer.keeper.rescue_jobs import RescueJobs
from sluice.adapters.postgres.keeper_store import RESCUE_S, PostgresKeeperStore
from sluice.core.errors import TryAgain
from sluice.core.lifecycle import DEADLINE_PASSED, LOST_LIMIT, WORKER_LOST, Failure, succeeded
from sluice.core.owner import Owner
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.record.record_fixture import KINDS, Record, body
from tests.support.fakes import FakeCache
from tests.support.leases import new_owner, rescue
from tests.support.make_jobs import ids_of, new_job, new_jobs

TENANTS = ["acme", "Zebra", "a", "ünïcode", "~"]


async def leases(record: Record) -> set[UUID]:
    """Every lease there is."""
    return {row[0] for row in await record.sql.fetch("select id from consumers")}


async def die(record: Record, *owners: Owner) -> None:
    """Let these processes have been silent for too long."""
    over = "update consumers set lease_until = clock_timestamp() - interval '1 second' where id = any($1)"
    await record.sql.execute(over, [owner.id for owner in owners])


async def test_a_job_whose_consumer_died_is_queued_again_and_nothing_is_charged(record: Record) -> None:
    job = await record.claimed(lane="heavy", priority="high")
    await record.change(job.id, "progress = '{}'")
    await record.expire(job.id)
    lease = (await record.row(job.id))["owner"]
    await record.empty_outbox()
    (rescued,) = await record.rescue()
    assert (rescued.id, rescued.state, rescued.version, rescued.attempt) == (job.id, "queued", 3, 0)
    assert (rescued.crash_count, rescued.solo_crashes, rescued.progress) == (1, 0, None)
    assert body(rescued) == body(await record.job(job.id))
    (row,) = await record.outbox()
    assert (row.lane, row.priority, row.ids) == ("heavy", "high", [job.id])
    (attempt,) = await record.attempts(job.id)
    assert (attempt["outcome"], attempt["attempt"], attempt["owner"]) == ("lease-lost", 1, lease)


async def test_a_job_that_nobody_holds_is_not_rescued_even_if_every_lease_is_over(record: Record) -> None:
    (waiting,) = await record.accepted()
    (later,) = await record.accepted(delay_s=60)
    held = await record.claimed()
    keeper = PostgresKeeperStore(record.database, await new_owner(record.sql))
    await die(record, record.owner, *record._others)
    assert ids_of(await rescue(keeper)) == [held.id]
    rows = [await record.row(each) for each in (waiting, later)]
    assert [(row["state"], row["crash_count"]) for row in rows] == [("queued", 0), ("scheduled", 0)]


async def test_the_death_of_a_consumer_is_charged_to_nobody_and_ten_are_the_end(record: Record) -> None:
    job = await record.claimed()
    for crashes in range(LOST_LIMIT):
        assert (job.crash_count, job.solo_crashes) == (crashes, 0)
        await record.expire(job.id)
        (rescued,) = await record.rescue()
        if crashes < LOST_LIMIT - 1:
            assert (await record.row(job.id))["error_fingerprint"] is None
            job = await record.claim(job.id)
    assert (rescued.state, rescued.crash_count, rescued.solo_crashes) == ("failed", LOST_LIMIT, 0)
    assert body(rescued) == body(await record.job(job.id))
    error = orjson.loads(body(rescued))["error"]
    assert (error["type"], error["attempt"], error["retryable"]) == ("worker-lost", 1, False)
    own = Failure("worker-lost", error["title"]).fingerprint("demo.sum")
    assert (error["fingerprint"], (await record.row(job.id))["error_fingerprint"]) == (own, own)
    assert [row["fence"] for row in await record.attempts(job.id)] == list(range(1, LOST_LIMIT + 1))


@pytest.mark.parametrize("crashes", [0, LOST_LIMIT - 1])
async def test_a_cancel_that_was_asked_for_wins_over_a_rescue(record: Record, crashes: int) -> None:
    job = await record.claimed()
    await record.change(job.id, f"crash_count = {crashes}")
    await record.ask_to_cancel(job.id)
    await record.expire(job.id)
    await record.empty_outbox()
    (rescued,) = await record.rescue()
    assert (rescued.state, rescued.finished_at is not None) == ("cancelled", True)
    assert body(rescued) == body(await record.job(job.id))
    assert orjson.loads(body(rescued))["error"] is None
    assert (await record.row(job.id))["error_fingerprint"] is None
    assert await record.outbox() == []


async def test_a_rescued_job_is_lost_to_its_old_consumer(record: Record) -> None:
    owner = record.another()
    (job,) = await record.other(owner).claim(await record.accepted(), KINDS)
    await die(record, owner)
    await record.rescue()
    assert await record.store.settle([succeeded(job, b"{}")]) == []
    await record.claim(job.id)
    assert await record.store.settle([succeeded(job, b"{}")]) == []


class Crowd(NamedTuple):
    """Jobs of two consumers that die and of two that live, and jobs that nobody runs."""

    dead: list[Owner]
    theirs: set[str]
    others: set[str]


@pytest.fixture
async def crowd(record: Record) -> Crowd:
    """Jobs of many tenants in no order of theirs, most of which run."""
    owners = [record.another() for _ in range(4)]
    jobs = [new_job(tenant=TENANTS[number % 5], priority=("high", "low")[number % 2]) for number in range(60)]
    ids = await record.accepted(*jobs)
    random.Random(5).shuffle(ids)
    for number, owner in enumerate(owners):
        assert len(await record.other(owner).claim(ids[number::6], KINDS)) == 10
    done = await record.store.claim(ids[4::6], KINDS)
    await record.store.settle([succeeded(job, b"1") for job in done])
    theirs = {*ids[0::6], *ids[1::6]}
    return Crowd(owners[:2], theirs, set(ids) - theirs)


async def test_every_job_of_the_dead_is_rescued_and_no_other(record: Record, crowd: Crowd) -> None:
    untouched = "select * from jobs where id = any($1) order by id"
    before = await record.sql.fetch(untouched, list(crowd.others))
    await die(record, *crowd.dead)
    assert sorted(ids_of(await record.rescue())) == sorted(crowd.theirs)
    assert await record.sql.fetch(untouched, list(crowd.others)) == before
    assert {await record.state(each) for each in crowd.theirs} == {"queued"}


@pytest.mark.parametrize("own", [False, True])
async def test_while_one_process_looks_through_what_runs_no_other_does_for_the_same_purpose(
    record: Record, own: bool
) -> None:
    async with record.locked(f"select pg_advisory_xact_lock(7519002 + {own:d})") as other:
        with pytest.raises(TryAgain, match="another looks"):
            await record.keeper.find_held_jobs([], own=own)
        assert await record.keeper.find_held_jobs([], own=not own) == []
        await other.execute("commit")
        assert await record.keeper.find_held_jobs([], own=own) == []


async def test_a_job_that_was_settled_or_taken_meanwhile_is_not_rescued(record: Record) -> None:
    owner = record.another()
    jobs = await record.other(owner).claim(await record.accepted(*new_jobs(3)), KINDS)
    done, taken, left = jobs
    await die(record, owner)
    dead = await record.keeper.take_dead_leases()
    held = await record.keeper.find_held_jobs(dead)
    assert held == sorted(ids_of(jobs))
    await record.store.settle([succeeded(done, b"1")])
    await record.give_back(taken)
    await record.claim(taken.id)
    assert ids_of(await record.keeper.rescue(held, dead)) == [left.id]
    assert (await record.state(done.id), await record.state(taken.id)) == ("succeeded", "running")


async def test_a_lease_that_holds_is_left_alone(record: Record) -> None:
    job = await record.claimed()
    before = await leases(record)
    assert await record.rescue() == []
    assert await record.state(job.id) == "running"
    assert await leases(record) == before


async def test_a_keeper_whose_own_lease_is_over_rescues_nobody_as_all_may_be(record: Record) -> None:
    owner = record.another()
    (job,) = await record.other(owner).claim(await record.accepted(), KINDS)
    await record.sql.execute("update consumers set lease_until = lease_until - interval '1 day'")
    assert await record.rescue() == []
    anew = "update consumers set lease_until = clock_timestamp() + interval '1 minute' where id = $1"
    await record.sql.execute(anew, record.owner.id)
    assert ids_of(await record.rescue()) == [job.id]


async def test_no_two_keepers_take_the_same_lease(record: Record) -> None:
    dead = [await new_owner(record.sql, -1) for _ in range(40)]
    taken = await asyncio.gather(*(record.keeper.take_dead_leases() for _ in range(8)))
    assert sorted(each for some in taken for each in some) == sorted(str(owner.id) for owner in dead)


async def test_what_a_keeper_has_begun_and_not_done_in_time_another_does(record: Record) -> None:
    owner = record.another()
    (job,) = await record.other(owner).claim(await record.accepted(), KINDS)
    await die(record, owner)
    assert await record.keeper.take_dead_leases() == [str(owner.id)]
    assert await record.rescue() == [], "another is at it"
    left = "select extract(epoch from rescue_until - clock_timestamp())::float8 from consumers where id = $1"
    assert RESCUE_S - 5 < await record.sql.fetchval(left, owner.id) <= RESCUE_S
    await record.sql.execute("update consumers set rescue_until = clock_timestamp()")
    assert ids_of(await record.rescue()) == [job.id]


async def test_a_lease_is_dropped_once_its_jobs_are_rescued_and_never_while_it_holds(record: Record) -> None:
    dead, alive = record.another(), record.another()
    await record.other(dead).claim(await record.accepted(), KINDS)
    await die(record, dead)
    before = await leases(record)
    await record.keeper.drop_leases([str(alive.id)])
    assert await leases(record) == before
    assert len(await record.rescue()) == 1
    assert await leases(record) == before - {dead.id}


@pytest.mark.parametrize("kind", ["demo.sum", "their.kind", "ünï.cödé", "a\u2028b"])
async def test_fingerprints_that_the_record_computes_are_those_of_every_other_failure(
    record: Record, kind: str
) -> None:
    (lost,), (late,) = await record.accepted(kind=kind), await record.accepted(kind=kind, deadline_s=60)
    await record.store.claim([lost], {kind: 1})
    await record.change(lost, f"crash_count = {LOST_LIMIT}")
    await record.expire(lost)
    assert len(await record.rescue()) == 1
    await record.change(late, "deadline = now()")
    assert len(await record.keeper.fail_overdue(10)) == 1
    for job_id, failure in ((lost, WORKER_LOST), (late, DEADLINE_PASSED)):
        row = await record.row(job_id)
        error, expected = orjson.loads(row["error"]), failure.fingerprint(kind)
        assert (row["error_fingerprint"], error["fingerprint"]) == (expected, expected)
        assert (error["type"], error["title"]) == (failure.type, failure.title)


async def test_a_job_that_somebody_has_locked_holds_up_no_other_and_is_rescued_later(record: Record) -> None:
    owner, lock = record.another(), "select from jobs where id = $1 for update"
    held, free = await record.other(owner).claim(await record.accepted(*new_jobs(2)), KINDS)
    await die(record, owner)
    duty = RescueJobs(record.keeper, FakeCache(), Telemetry(), lambda: True)
    async with record.locked(lock, UUID(held.id)):
        with pytest.raises(TryAgain):
            await duty.once()
        assert [await record.state(job.id) for job in (held, free)] == ["running", "queued"]
        assert owner.id in await leases(record)
    await record.sql.execute("update consumers set rescue_until = null")
    assert (await duty.once(), await record.state(held.id)) == (1, "queued")
    assert owner.id not in await leases(record)


async def test_a_job_that_a_new_consumer_has_claimed_since_it_was_found_is_left_to_it(record: Record) -> None:
    """Its lease is none that was over when the rescue began."""
    owner = record.another()
    first, second = await record.other(owner).claim(await record.accepted(*new_jobs(2)), KINDS)
    await die(record, owner)
    over = await record.keeper.take_dead_leases()
    found = await record.keeper.find_held_jobs(over)
    await record.give_back(second)
    again = await record.other(await new_owner(record.sql)).claim([second.id], KINDS)
    assert ids_of(await record.keeper.rescue(found, over)) == [first.id]
    assert (await record.job(second.id)).state == "running"
    assert ids_of(again) == [second.id]
