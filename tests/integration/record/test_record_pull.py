"""Pull: jobs are claimed without a hint, each by one consumer, in turns by priority and the oldest first."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import orjson
import pytest

from sluice.core.job import Job, NewJob
from sluice.core.lanes import PRIORITIES, Turns
from sluice.core.lifecycle import succeeded
from tests.integration.record.record_fixture import KINDS, Record, body
from tests.support.make_jobs import ids_of, new_job, new_jobs


async def pull(
    record: Record, limit: int = 10, turns: Turns | None = None, lane: str = "default"
) -> list[Job]:
    """What this process gets."""
    return await record.store.pull(lane, limit, KINDS, (turns or Turns()).had)


async def accepted_in_order(record: Record, *jobs: NewJob) -> list[str]:
    """Accept jobs, each queued a second after the one before."""
    ids = await record.accepted(*jobs)
    for number, job_id in enumerate(reversed(ids)):
        await record.change(job_id, f"offered_until = now() - interval '{number + 1} seconds'")
    return ids


async def test_a_pulled_job_is_claimed_as_by_a_hint(record: Record) -> None:
    (job_id,) = await record.accepted(deadline_s=100, tags="t")
    (job,) = await pull(record)
    assert (job.id, job.state, job.version, job.fence, job.attempt) == (job_id, "running", 2, 1, 1)
    assert (job.input, job.started_at is not None) == (b'{"values":[1,2]}', True)
    assert (await record.row(job_id))["owner"] == record.owner.id
    assert body(job) == body(await record.job(job_id))
    assert await pull(record) == []


async def test_no_more_than_asked_for_and_the_oldest_first(record: Record) -> None:
    ids = await accepted_in_order(record, *new_jobs(7))
    assert sorted(ids_of(await pull(record, 3))) == sorted(ids[:3])
    assert sorted(ids_of(await pull(record, 3))) == sorted(ids[3:6])
    assert ids_of(await pull(record, 3)) == ids[6:]


async def test_only_queued_jobs_of_the_lane_are_pulled(record: Record) -> None:
    running, done = await record.claimed(), await record.claimed()
    await record.store.settle([succeeded(done, b"{}")])
    await record.accepted(delay_s=60)
    (heavy,) = await record.accepted(lane="heavy")
    (wanted,) = await record.accepted()
    assert ids_of(await pull(record)) == [wanted]
    assert ids_of(await pull(record, lane="heavy")) == [heavy]
    assert (await record.job(running.id)).fence == 1


async def test_kinds_that_are_not_known_here_are_left_for_others(record: Record) -> None:
    foreign, own = await accepted_in_order(record, new_job(kind="their.kind"), new_job())
    assert ids_of(await pull(record, 1)) == [own]
    assert await record.state(foreign) == "queued"


async def test_a_paused_lane_is_not_pulled(record: Record) -> None:
    (job_id,) = await record.accepted()
    await record.sql.execute("insert into lanes (name, paused_at) values ('default', now()), ('heavy', null)")
    assert await pull(record) == []
    await record.sql.execute("update lanes set paused_at = null")
    assert ids_of(await pull(record)) == [job_id]


async def test_a_second_pull_of_the_same_job_has_a_higher_fence_and_a_start_of_its_own(
    record: Record,
) -> None:
    await record.accepted()
    (first,) = await pull(record)
    await record.give_back(first)
    (second,) = await pull(record)
    assert (second.id, second.fence, second.attempt) == (first.id, 2, 1)
    assert first.started_at
    assert second.started_at
    assert first.started_at < second.started_at


@pytest.mark.parametrize("step", [1, 3, 28])
async def test_priorities_take_turns_however_many_slots_come_free_at_once(record: Record, step: int) -> None:
    await record.accepted(*(new_job(priority=each) for each in PRIORITIES for _ in range(30)))
    turns, taken = Turns(), Counter[str]()
    while taken.total() < 28:
        found = await pull(record, min(step, 28 - taken.total()), turns)
        turns.took(job.priority for job in found)
        taken.update(job.priority for job in found)
    assert taken == {"high": 16, "normal": 8, "low": 2, "overflow": 2}


async def test_a_priority_that_has_less_than_its_share_leaves_the_rest_to_the_others(record: Record) -> None:
    await record.accepted(*new_jobs(2, priority="high"), *new_jobs(9, priority="low"))
    assert Counter(job.priority for job in await pull(record, 8)) == {"high": 2, "low": 6}


@pytest.mark.parametrize("theirs", ["for update", "for no key update"])
async def test_rows_that_somebody_has_locked_are_passed_over_without_waiting(
    record: Record, theirs: str
) -> None:
    ids = await accepted_in_order(record, *new_jobs(5))
    lock = f"select from jobs where id = any($1::uuid[]) {theirs}"
    async with record.locked(lock, ids[:2]):
        assert sorted(ids_of(await asyncio.wait_for(pull(record, 2), 1))) == sorted(ids[2:4])
    assert sorted(ids_of(await pull(record))) == sorted([*ids[:2], ids[4]])


async def test_an_overdue_job_whose_turn_it_is_fails_and_shows_what_a_look_up_shows(record: Record) -> None:
    late, good, later = await accepted_in_order(
        record, new_job(deadline_s=60), new_job(), new_job(deadline_s=60)
    )
    for job_id in (late, later):
        await record.change(job_id, "deadline = now()")
    found = {job.id: job for job in await pull(record, 2)}
    assert {job_id: job.state for job_id, job in found.items()} == {late: "failed", good: "running"}
    job = found[late]
    assert (job.version, job.fence, job.attempt, job.finished_at is not None) == (2, 0, 0, True)
    assert body(job) == body(await record.job(late))
    assert orjson.loads(body(job))["error"]["type"] == "deadline-passed"
    assert await record.state(later) == "queued", "it had no slot"


async def test_each_of_two_thousand_jobs_is_pulled_by_one_of_eight_consumers(record: Record) -> None:
    ids: list[str] = []
    for priority in PRIORITIES:
        ids += await record.accepted(*new_jobs(500, priority=priority))
    times: Counter[str] = Counter()
    shares: Counter[UUID] = Counter()

    async def consumer(number: int) -> None:
        owner, turns, missed = record.another(), Turns(), 0
        pulls = record.other(owner)
        while missed < 3:  # nothing found once may be: others had the rest locked
            found = await pulls.pull("default", 10 + number, KINDS, turns.had)
            turns.took(job.priority for job in found)
            times.update(ids_of(found))
            shares[owner.id] += len(found)
            missed = 0 if found else missed + 1

    await asyncio.gather(*map(consumer, range(8)))
    assert times == dict.fromkeys(ids, 1)
    assert (
        await record.sql.fetchval("select count(*) from jobs where fence = 1 and state = 'running'") == 2_000
    )
    assert len(shares) == 8
    owners = await record.sql.fetch("select owner, count(*) from jobs group by owner")
    assert {row[0]: row[1] for row in owners} == shares


async def test_hinted_claims_and_pulls_of_the_same_jobs_have_one_winner_each(record: Record) -> None:
    ids: list[str] = []
    for _ in range(4):
        ids += await record.accepted(*new_jobs(250))
    times: Counter[str] = Counter()

    async def hinted() -> None:
        other = record.other()
        for start in range(0, 1_000, 50):
            times.update(ids_of(await other.claim(ids[start : start + 50], KINDS)))

    async def pulled() -> None:
        while found := await pull(record, 40):
            times.update(ids_of(found))

    await asyncio.gather(hinted(), pulled(), pulled())
    assert times == dict.fromkeys(ids, 1)


async def test_a_lost_pull_is_found_by_its_owner_alone(record: Record) -> None:
    await record.accepted(*new_jobs(2), new_job(lane="heavy"))
    mine = await pull(record, 1)
    await record.other(record.another()).pull("default", 1, KINDS, Turns().had)
    await pull(record, lane="heavy")
    assert await record.store.recover_lane_claims("default", KINDS) == mine
    assert await record.other(record.another()).recover_lane_claims("default", KINDS) == []


async def test_a_lost_pull_is_found_behind_any_number_of_jobs_of_others(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.postgres.job_store.MOST_RUNNING", 3)
    jobs = [*new_jobs(3, kind="their.kind"), *new_jobs(2, handler_version=2), new_job()]
    *_, job_id = await accepted_in_order(record, *jobs)
    assert ids_of(await pull(record)) == [job_id]
    assert ids_of(await record.store.recover_lane_claims("default", KINDS)) == [job_id]


async def test_void_messages_are_dropped_and_wanted_ones_stay_as_due_as_they_are(record: Record) -> None:
    pulled = await record.accepted(*new_jobs(3, ids_per_message=2))
    await pull(record)
    waiting = await record.accepted(*new_jobs(3, ids_per_message=2))
    await pull(record, 1)
    half = "select * from outbox where ids && $1::uuid[] order by id"
    before = await record.sql.fetch(half, waiting)
    assert len(before) == 2
    assert await record.keeper.drop_void_messages(0, 100) == (0, len(pulled))
    assert await record.sql.fetch("select * from outbox order by id") == before


async def test_the_outbox_is_walked_through_in_steps(record: Record) -> None:
    wanted = await record.accepted(*new_jobs(4, ids_per_message=1, lane="heavy"))
    await record.accepted(*new_jobs(5, ids_per_message=1))
    await pull(record)
    after, dropped, steps = -1, 0, 0
    while after:
        after, found = await record.keeper.drop_void_messages(max(after, 0), 4)
        dropped, steps = dropped + found, steps + 1
    assert (dropped, steps) == (5, 3)
    assert sorted(each for row in await record.outbox() for each in row.ids) == sorted(wanted)
