"""Claim: one winner for each job, and every id that is not won is accounted for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from sluice.core.job import Job
from sluice.core.lifecycle import Failure, retried, succeeded
from tests.integration.record.record_fixture import KINDS, Record, body, ids_in
from tests.support.leases import new_owner
from tests.support.make_jobs import ids_of, new_job, new_jobs


async def test_a_claim_raises_fence_attempt_and_version_and_hands_out_the_input(record: Record) -> None:
    (job_id,) = await record.accepted(input=b'{"values":[4]}', tags="t", timeout_s=3.0)
    job = await record.claim(job_id)
    assert (job.state, job.fence, job.attempt, job.version) == ("running", 1, 1, 2)
    assert (job.input, job.result, job.error) == (b'{"values":[4]}', None, None)
    assert (job.tags, job.timeout_s, job.started_at is not None) == ("t", 3.0, True)
    assert (await record.row(job_id))["owner"] == record.owner.id


async def test_a_claimed_job_shows_what_a_look_up_shows(record: Record) -> None:
    job = await record.claimed(deadline_s=100, tags="t")
    assert body(job) == body(await record.job(job.id))


async def test_the_second_claim_has_a_higher_fence_and_a_start_of_its_own(record: Record) -> None:
    first = await record.claimed()
    await record.give_back(first)
    second = await record.claim(first.id)
    assert (second.fence, second.attempt) == (2, 1)
    assert first.started_at
    assert second.started_at
    assert first.started_at < second.started_at


async def test_an_id_that_is_named_twice_is_claimed_once(record: Record) -> None:
    (job_id,) = await record.accepted()
    (job,) = await record.store.claim([job_id, job_id], KINDS)
    assert job.fence == 1


async def test_only_queued_jobs_are_claimed(record: Record) -> None:
    running, done = await record.claimed(), await record.claimed()
    await record.store.settle([succeeded(done, b"{}")])
    (later,) = await record.accepted(delay_s=60)
    (wanted,) = await record.accepted()
    found = await record.store.claim([running.id, done.id, later, wanted, str(uuid4())], KINDS)
    assert ids_of(found) == [wanted]


async def test_kinds_that_are_not_known_here_are_left_for_others(record: Record) -> None:
    (foreign,) = await record.accepted(kind="their.kind")
    assert await record.store.claim([foreign], KINDS) == []
    assert await record.state(foreign) == "queued"


async def test_an_overdue_job_is_not_started(record: Record) -> None:
    (job_id,) = await record.accepted(deadline_s=60)
    await record.change(job_id, "deadline = now()")
    assert await record.store.claim([job_id], KINDS) == []


@pytest.mark.parametrize(("ending", "won"), [("commit", False), ("rollback", True)])
async def test_a_job_that_is_just_being_cancelled_is_waited_for(
    record: Record, ending: str, won: bool
) -> None:
    (job_id,) = await record.accepted()
    cancel = """update jobs set state = 'cancelled', cancel_requested_at = now(), finished_at = now(), expires_at = now()
                where id = $1"""
    async with record.locked(cancel, job_id) as rival:
        claiming = asyncio.create_task(record.store.claim([job_id], KINDS))
        await record.until_waiting()
        await rival.execute(ending)
        assert ids_of(await claiming) == [job_id] * won


async def test_each_of_two_thousand_jobs_has_one_winner_among_eight_claimers(record: Record) -> None:
    ids: list[str] = []
    for _ in range(4):
        ids += await record.accepted(*new_jobs(500))
    winners: dict[str, Job] = {}
    times: Counter[str] = Counter()

    async def claimer(number: int) -> None:
        store, mine = record.other(), ids[:]
        random.Random(number).shuffle(mine)
        for start in range(0, len(mine), 125):
            for job in await store.claim(mine[start : start + 125], KINDS):
                times[job.id] += 1
                winners[job.id] = job

    await asyncio.gather(*map(claimer, range(8)))
    assert sorted(winners) == sorted(ids)
    assert set(times.values()) == {1}
    assert {job.fence for job in winners.values()} == {1}
    assert len({row[0] for row in await record.sql.fetch("select distinct owner from jobs")}) > 1


async def test_a_claim_whose_reply_was_lost_is_adopted_by_its_owner_alone(record: Record) -> None:
    mine, done = await record.claimed(), await record.claimed()
    await record.store.settle([succeeded(done, b"{}")])
    (queued,) = await record.accepted()
    ids = [mine.id, done.id, queued]
    assert await record.store.recover_lost_claims(ids) == [mine]
    assert await record.other().recover_lost_claims(ids) == []


async def test_an_overdue_job_fails_and_shows_what_a_look_up_shows(record: Record) -> None:
    (job_id,) = await record.accepted(deadline_s=60)
    await record.change(job_id, "deadline = now()")
    (job,) = await record.store.defer_unclaimed([job_id], KINDS)
    assert (job.state, job.version, job.fence, job.finished_at is not None) == ("failed", 2, 0, True)
    assert body(job) == body(await record.job(job_id))
    error = orjson.loads(body(job))["error"]
    assert (error["type"], error["retryable"], error["attempt"]) == ("deadline-passed", False, 0)
    own = Failure("deadline-passed", error["title"]).fingerprint("demo.sum")
    assert (error["fingerprint"], (await record.row(job_id))["error_fingerprint"]) == (own, own)


async def test_an_overdue_job_fails_even_where_its_kind_is_unknown(record: Record) -> None:
    (job_id,) = await record.accepted(kind="their.kind", deadline_s=60)
    await record.change(job_id, "deadline = now()")
    await record.empty_outbox()
    assert ids_of(await record.store.defer_unclaimed([job_id], KINDS)) == [job_id]
    assert await record.outbox() == []


async def test_a_claim_waits_for_one_of_this_process_that_is_being_committed(record: Record) -> None:
    """It is void then, and the one before it is there to be recovered: its COMMIT may outlast the wait for its reply."""
    (job_id,) = await record.accepted()
    claim = "update jobs set state = 'running', fence = 1, version = 2, attempt = 1, owner = $2 where id = $1"
    async with record.locked(claim, UUID(job_id), record.owner.id) as lost:
        assert await record.store.recover_lost_claims([job_id]) == []
        again = asyncio.create_task(record.store.claim([job_id], KINDS))
        await record.until_waiting()
        await lost.execute("commit")
        assert await again == []
    assert ids_of(await record.store.recover_lost_claims([job_id])) == [job_id]


async def test_kinds_that_others_know_are_offered_to_them_after_longer_and_longer_pauses(
    record: Record,
) -> None:
    await new_owner(record.sql, kinds=["their.kind"])
    ids = await record.accepted(*new_jobs(2, kind="their.kind"), new_job(kind="their.kind", lane="heavy"))
    pauses = []
    for _ in range(7):
        await record.empty_outbox()
        assert await record.store.defer_unclaimed(ids, KINDS) == []
        rows = await record.outbox()
        assert sorted((row.lane, len(row.ids)) for row in rows) == [("default", 2), ("heavy", 1)]
        pauses.append(round(max(row.seconds for row in rows)))
    assert pauses == [4, 8, 16, 32, 60, 60, 60]
    assert [await record.state(each) for each in ids] == ["queued"] * 3


async def test_kinds_that_nobody_knows_in_their_lane_are_not_offered(record: Record) -> None:
    await new_owner(record.sql, kinds=["their.kind"])
    await new_owner(record.sql, -1, kinds=["dead.kind"])
    ids = await record.accepted(*(new_job(kind=kind, lane=lane) for kind, lane in (
        ("their.kind", "elsewhere"), ("dead.kind", "default"), ("strange", "default")
    )))  # fmt: skip
    await record.empty_outbox()
    assert await record.store.defer_unclaimed(ids, KINDS) == []
    before = await record.sql.fetch("select * from jobs order by id")
    for _ in range(3):
        assert await record.store.defer_unclaimed(ids, KINDS) == []
    assert await record.outbox() == []
    assert await record.sql.fetch("select * from jobs order by id") == before
    assert {(row["version"], row["offers"]) for row in before} == {(1, 1)}


async def test_what_was_put_off_for_long_is_offered_as_soon_as_somebody_serves_it(record: Record) -> None:
    """Its last message came while nobody did, and is gone."""
    serves_it = await new_owner(record.sql, kinds=["their.kind"])
    (job_id,) = await record.accepted(new_job(kind="their.kind"))
    for _ in range(5):
        await record.store.defer_unclaimed([job_id], KINDS)
    await record.sql.execute("delete from consumers where id = $1", serves_it.id)
    await record.store.defer_unclaimed([job_id], KINDS)
    await record.empty_outbox()
    empty = {("default", "normal"): None}
    assert await record.keeper.offer_lost(empty, 10) == 0
    await new_owner(record.sql, kinds=["their.kind"])
    assert await record.keeper.offer_lost(empty, 10) == 1
    assert (await record.row(job_id))["offers"] == 2


async def test_everything_else_that_was_not_claimed_is_void(record: Record) -> None:
    running, retrying, done = await record.claimed(), await record.claimed(), await record.claimed()
    await record.store.settle([retried(retrying, Failure("x", "y"), 60), succeeded(done, b"{}")])
    (queued,) = await record.accepted()
    ids = [running.id, retrying.id, done.id, queued, str(uuid4())]
    await record.empty_outbox()
    before = await record.sql.fetch("select * from jobs order by id")
    assert await record.store.defer_unclaimed(ids, KINDS) == []
    assert await record.sql.fetch("select * from jobs order by id") == before
    assert await record.outbox() == []


@pytest.mark.parametrize("method", ["claim", "defer_unclaimed"])
async def test_no_ids_are_no_trouble(record: Record, method: str) -> None:
    call: Any = getattr(record.store, method)
    assert await call([], KINDS) == []


async def test_ids_of_the_outbox_and_of_the_claims_are_spelled_alike(record: Record) -> None:
    (job_id,) = await record.accepted()
    assert (
        ids_in(await record.outbox()) == ids_of(await record.store.claim([job_id.upper()], KINDS)) == [job_id]
    )
