"""Bulk acts on the real PostgreSQL, a BulkStepStore: each step is taken once, whoever tries, and moves on as far as it has changed jobs."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from sluice.adapters.postgres.bulk_store import PostgresBulkStore
from sluice.core.access import OPERATOR
from sluice.core.bulk import BulkAct, NewBulkAct, narrow
from sluice.core.job import JobState
from sluice.core.lifecycle import Failure, failed, succeeded
from sluice.core.listing import Filter
from sluice.core.ports import Matching
from sluice.core.runtime.ids import new_job_id
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import aged_id, new_job, new_jobs

KEEPER, OTHER = aged_id(0), aged_id(0)
FAILURE = Failure("handler-error", "LookupError", "row 1 is missing")
SUMS = Filter(kind="demo.sum")


@pytest.fixture
def bulk(record: Record) -> PostgresBulkStore:
    """Bulk acts over the record."""
    return PostgresBulkStore(record.database, record.settings)


async def begun(bulk: PostgresBulkStore, act: str = "cancel", **changes: Any) -> BulkAct:
    """An act that is there now."""
    wanted = narrow(act, changes.pop("wanted", SUMS))
    new = NewBulkAct(new_job_id(), "acme", act, wanted, 0, 1_000.0, 0.0, False, 3_600)
    made = await bulk.open_act(new._replace(**changes), OPERATOR)
    assert made
    return made


async def now(bulk: PostgresBulkStore, act: BulkAct) -> BulkAct:
    """The act as it stands."""
    found = await bulk.find_act("acme", act.id)
    assert found
    return found


async def failing(record: Record, count: int, **changes: Any) -> list[str]:
    """Jobs that have failed."""
    ids = await record.accepted(*new_jobs(count, **changes))
    jobs = await record.store.claim(ids, dict.fromkeys(KINDS, 9))
    await record.store.settle([failed(job, FAILURE) for job in jobs])
    return ids


def new_ids(found: Matching) -> dict[str, str]:
    return {each: new_job_id() for each in found.ids}


async def step(bulk: PostgresBulkStore, act: BulkAct, most: int = 200) -> int:
    """Take the next step of an act; how many jobs it changed."""
    found = await bulk.find_matching(act, most)
    if act.state == "counting":
        await bulk.count_on(act, found)
        return 0
    if act.act == "cancel":
        return len(await bulk.cancel_batch(act, found))
    if act.act == "delete":
        return len(await bulk.delete_batch(act, found))
    return sum(len(each.ids) for each in await bulk.retry_batch(act, found, new_ids(found)))


async def test_a_cancel_goes_through_all_that_was_there_before_it(
    record: Record, bulk: PostgresBulkStore
) -> None:
    ids = await record.accepted(*new_jobs(7))
    others = await record.accepted(new_job(kind="demo.sleep"), new_job(tenant="other"))
    act = await begun(bulk)
    later = await record.accepted()
    changed = []
    while (act := await now(bulk, act)).state == "running":
        changed.append(await step(bulk, act, 3))
    assert (changed, act.state, act.changed, act.below) == ([3, 3, 1], "finished", 7, None)
    assert {await record.state(each) for each in ids} == {"cancelled"}
    assert {await record.state(each) for each in [*others, *later]} == {"queued"}


async def test_of_two_that_take_the_same_step_one_does(record: Record, bulk: PostgresBulkStore) -> None:
    """A keeper that was taken for dead changes nothing of what another has gone past."""
    await record.accepted(*new_jobs(6))
    act = await begun(bulk)
    found = await bulk.find_matching(act, 3)
    both = await asyncio.gather(*(bulk.cancel_batch(act, found) for _ in range(2)))
    assert sorted(map(len, both)) == [0, 3]
    assert await bulk.cancel_batch(act, found) == []
    assert (await now(bulk, act)).changed == 3
    assert (await now(bulk, act)).version == 2


@pytest.mark.parametrize("kind", ["cancel", "retry", "delete"])
async def test_a_step_of_an_act_that_has_moved_on_does_nothing(
    record: Record, bulk: PostgresBulkStore, kind: str
) -> None:
    if kind == "cancel":
        await record.accepted(*new_jobs(3))
    else:
        await failing(record, 3)
    act = await begun(bulk, kind)
    before = await record.left()
    assert (aborted := await bulk.abort("acme", act.id, OPERATOR))
    assert aborted.state == "aborted"
    assert await step(bulk, act) == 0
    assert await record.left() == before
    assert await record.sql.fetchval("select count(*) from jobs where state = 'cancelled'") == 0
    assert await now(bulk, act) == aborted


async def test_a_retry_makes_one_new_job_each(record: Record, bulk: PostgresBulkStore) -> None:
    ids = await failing(record, 5)
    await record.control.retry("acme", ids[2], new_job_id())
    act = await begun(bulk, "retry")
    while (act := await now(bulk, act)).state == "running":
        await step(bulk, act, 2)
    assert (act.state, act.changed) == ("finished", 4)
    rows = await record.sql.fetch("select retry_of::text from jobs where retry_of is not null")
    assert sorted(row[0] for row in rows) == sorted(ids)


async def test_a_retry_goes_on_behind_the_last_job_for_which_there_was_room(
    record: Record, bulk: PostgresBulkStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.postgres.bulk_store.COPIED_AT_ONCE", 100_000)
    long = [await failing(record, 1, input=b'"%b"' % (b"x" * 60_000)) for _ in range(5)]
    short = await failing(record, 1)
    act, changed = await begun(bulk, "retry"), []
    while (act := await now(bulk, act)).state == "running":
        changed.append(await step(bulk, act))
    assert (act.changed, changed) == (6, [3, 2, 1])
    rows = await record.sql.fetch("select retry_of::text from jobs where retry_of is not null")
    assert sorted(row[0] for row in rows) == sorted([*(each for (each,) in long), *short])


async def test_a_delete_takes_finished_jobs_with_all_they_had(
    record: Record, bulk: PostgresBulkStore
) -> None:
    ids = await failing(record, 4)
    queued = await record.accepted()
    act = await begun(bulk, "delete")
    while (act := await now(bulk, act)).state == "running":
        await step(bulk, act, 3)
    assert (act.state, act.changed) == ("finished", 4)
    assert await record.left() == set(queued)
    for each in ids:
        assert await record.attempts(each) == []


async def test_a_job_that_cannot_go_at_once_is_come_back_to(record: Record, bulk: PostgresBulkStore) -> None:
    ids = await failing(record, 3)
    keys = "insert into idempotency_keys (tenant, key, request_hash, job_id) select 'acme', n::text, 'h', $1::uuid from generate_series(1, 10005) as n"
    await record.sql.execute(keys, ids[1])
    act, changed = await begun(bulk, "delete"), []
    while (act := await now(bulk, act)).state == "running":
        changed.append(await step(bulk, act))
    assert (sum(changed), act.changed) == (3, 3)
    assert await record.left() == set()


async def test_a_dry_run_counts_and_waits(record: Record, bulk: PostgresBulkStore) -> None:
    ids = await record.accepted(*new_jobs(5))
    act = await begun(bulk, dry_run=True)
    assert (act.state, act.matched) == ("counting", 0)
    while (act := await now(bulk, act)).state == "counting":
        await step(bulk, act, 2)
    assert (act.state, act.reason, act.matched, act.due_in_s, act.rests) == ("waiting", "counted", 5, None, True)  # fmt: skip
    assert {await record.state(each) for each in ids} == {"queued"}
    assert await bulk.take_due_acts(KEEPER, 9) == []
    assert await bulk.go("acme", act.id, act.version - 1, OPERATOR) is None
    assert await bulk.go("other", act.id, None, OPERATOR) is None
    gone = await bulk.go("acme", act.id, act.version, OPERATOR)
    assert gone
    assert gone.state == "running"
    await step(bulk, gone)
    assert (await now(bulk, act)).changed == 5


async def test_a_canary_of_a_cancel_waits_for_a_go(record: Record, bulk: PostgresBulkStore) -> None:
    await record.accepted(*new_jobs(5))
    act = await begun(bulk, canary=2)
    assert act.at_once == 2
    assert await step(bulk, act, act.at_once) == 2
    act = await now(bulk, act)
    assert (act.state, act.reason, act.changed) == ("waiting", "canary-done", 2)
    gone = await bulk.go("acme", act.id, None, OPERATOR)
    assert gone
    assert (gone.state, gone.at_once) == ("running", 200)
    await step(bulk, gone)
    assert (await now(bulk, act)).state == "finished"


async def canary(record: Record, bulk: PostgresBulkStore, failures: int, most_failed: float) -> BulkAct:
    """A retry of twenty whose canary of four has ended, and was judged."""
    await failing(record, 20)
    act = await begun(bulk, "retry", canary=4, most_failed=most_failed)
    assert await step(bulk, act, act.at_once) == 4
    act = await now(bulk, act)
    assert act.state == "watching"
    assert await bulk.judge_act(act) == "watching"
    made = [str(row[0]) for row in await record.sql.fetch("select id from jobs where retry_of is not null")]
    jobs = await record.store.claim(made, dict.fromkeys(KINDS, 9))
    endings = [failed(job, FAILURE) for job in jobs[:failures]] + [
        succeeded(job, b"1") for job in jobs[failures:]
    ]
    await record.store.settle(endings)
    await bulk.judge_act(act)
    return await now(bulk, act)


async def test_a_retry_goes_on_by_itself_after_a_good_canary(record: Record, bulk: PostgresBulkStore) -> None:
    act = await canary(record, bulk, failures=1, most_failed=0.25)
    assert (act.state, act.canary_failed) == ("running", 1)
    assert await step(bulk, act) == 16


@pytest.mark.parametrize(("failures", "jobs", "most_failed"), [(29, 100, 0.29), (57, 100, 0.57)])
async def test_as_many_of_a_canary_as_may_fail_are_not_more(
    record: Record, bulk: PostgresBulkStore, failures: int, jobs: int, most_failed: float
) -> None:
    await failing(record, jobs)
    act = await begun(bulk, "retry", canary=jobs, most_failed=most_failed)
    assert await step(bulk, act) == jobs
    await record.sql.execute(
        "update jobs set state = 'failed', finished_at = now(), expires_at = now() + interval '1 day', error = '{}'"
        " where id = any(array(select id from jobs where retry_of is not null limit $1))",
        failures,
    )
    await record.sql.execute("delete from jobs where finished_at is null")
    assert await bulk.judge_act(await now(bulk, act)) == "finished"


async def test_a_retry_stops_if_more_of_its_canary_fail(record: Record, bulk: PostgresBulkStore) -> None:
    act = await canary(record, bulk, failures=2, most_failed=0.25)
    assert (act.state, act.reason, act.canary_failed, act.changed) == ("stopped", "canary-failed", 2, 4)
    assert act.finished_at
    assert await bulk.go("acme", act.id, None, OPERATOR) is None
    assert await bulk.abort("acme", act.id, OPERATOR) is None


async def test_a_rate_is_kept(record: Record, bulk: PostgresBulkStore) -> None:
    await record.accepted(*new_jobs(9))
    act = await begun(bulk, rate=2.0)
    assert act.at_once == 2
    await step(bulk, act, 6)
    due_in_s = (await now(bulk, act)).due_in_s
    assert due_in_s
    assert 1.5 < due_in_s <= 3.0


async def test_one_keeper_is_at_an_act_until_it_is_silent(record: Record, bulk: PostgresBulkStore) -> None:
    act = await begun(bulk)
    assert [each.id for each in await bulk.take_due_acts(KEEPER, 9)] == [act.id]
    assert await bulk.take_due_acts(OTHER, 9) == []
    assert [each.id for each in await bulk.take_due_acts(KEEPER, 9)] == [act.id]
    await record.sql.execute("update bulk_acts set taken_until = now()")
    assert [each.id for each in await bulk.take_due_acts(OTHER, 9)] == [act.id]
    await bulk.put_off_act(act.id, 60)
    assert await bulk.take_due_acts(OTHER, 9) == []


async def test_a_reason_comes_and_goes_with_a_version(record: Record, bulk: PostgresBulkStore) -> None:
    await record.accepted(*new_jobs(1))
    act = await begun(bulk)
    for reason, version in (
        (None, act.version),
        ("backlog-full", act.version + 1),
        ("backlog-full", act.version + 1),
        (None, act.version + 2),
    ):
        await bulk.put_off_act(act.id, 0, reason)
        found = await now(bulk, act)
        assert (found.reason, found.version) == (reason, version)
    assert await step(bulk, act) == 0
    assert await step(bulk, await now(bulk, act)) == 1


async def test_acts_are_pruned_once_they_have_ended_or_nobody_has_let_them_go(
    record: Record, bulk: PostgresBulkStore
) -> None:
    going, ended, waiting, fresh = [
        await begun(bulk, dry_run=dry) for dry in (False, False, True, False)
    ]  # fmt: skip
    await bulk.abort("acme", ended.id, OPERATOR)
    await step(bulk, waiting)
    await record.sql.execute("update bulk_acts set expires_at = now() - interval '1 second'")
    await bulk.abort("acme", fresh.id, OPERATOR)
    assert await bulk.prune_acts(9) == 2
    assert {each.id for each in await bulk.list_acts("acme", "f" * 8 + "-ffff" * 3 + "-" + "f" * 12, 9)} == {
        going.id,
        fresh.id,
    }


async def test_who_did_what_is_written_down_with_it(record: Record, bulk: PostgresBulkStore) -> None:
    await record.accepted(*new_jobs(2))
    act = await begun(bulk, canary=1)
    await step(bulk, act, 1)
    await bulk.go("acme", act.id, None, OPERATOR)
    await step(bulk, await now(bulk, act))
    await bulk.abort("acme", (await begun(bulk)).id, OPERATOR)
    rows = await record.sql.fetch(
        "select action, tenant, (detail->>'changed')::int as changed from audit order by id"
    )
    assert [tuple(row) for row in rows] == [
        ("bulk.start", "acme", None), ("bulk.go", "acme", None), ("bulk.finish", "acme", 2), ("bulk.start", "acme", None),
        ("bulk.abort", "acme", 0),
    ]  # fmt: skip


async def test_a_look_costs_the_same_however_many_do_not_fit(record: Record) -> None:
    await record.accepted(*new_jobs(30))
    await record.accepted(*new_jobs(30, kind="demo.sleep"))
    bulk = PostgresBulkStore(record.database, record.settings, examined=10)
    act = await begun(bulk, wanted=Filter(tuple(JobState)[:3], "demo.sum"))
    looks, ids = 0, list[str]()
    while act.below:
        found = await bulk.find_matching(act, 200)
        assert len(found.ids) <= 10
        ids, act, looks = [*ids, *found.ids], act._replace(below=found.below), looks + 1
    assert (len(set(ids)), len(ids), looks) == (30, 30, 7)


async def test_the_constraints_know_every_state(record: Record, bulk: PostgresBulkStore) -> None:
    act = await begun(bulk)
    with pytest.raises(asyncpg.CheckViolationError):
        await record.sql.execute("update bulk_acts set state = 'finished' where id = $1::uuid", act.id)
