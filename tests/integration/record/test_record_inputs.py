"""Inputs: a short one is in the row of its job, a longer one in a row of its own; a very long one is read when its job starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
import uuid_utils

from consumer.keeper.fire_schedules import FireSchedules
from infra.local.servers import Servers
from sluice.adapters.postgres.job_store import SHORT_INPUT
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.core.job import Job
from sluice.core.lanes import Turns
from sluice.core.lifecycle import Failure, failed, succeeded
from sluice.core.runtime.telemetry import Telemetry
from sluice.handler import LARGEST_INPUT
from tests.integration.record.record_fixture import KINDS, Record, open_record
from tests.support.make_jobs import aged_id, new_job, new_schedule

FAILURE = Failure("handler-error", "LookupError")
LONGEST = 65_536
SIZES = [SHORT_INPUT, SHORT_INPUT + 1, LONGEST]
sizes = pytest.mark.parametrize("size", SIZES)


def of(size: int) -> bytes:
    """JSON of so many bytes that does not compress well."""
    return b'"' + Random(size).randbytes(size)[: (size - 1) // 2].hex().encode().ljust(size - 2, b"x") + b'"'


async def apart(record: Record) -> set[str]:
    """The jobs whose input has a row of its own."""
    return {row[0] for row in await record.sql.fetch("select id::text from inputs")}


async def ended(record: Record, size: int, failure: Failure | None = None, **changes: object) -> Job:
    """A job with an input of this size that has ended."""
    job = await record.claimed(input=of(size), **changes)
    await record.store.settle([failed(job, failure) if failure else succeeded(job, b"1")])
    return job


@sizes
async def test_an_input_is_stored_once_where_its_size_says(record: Record, size: int) -> None:
    (job_id,) = await record.accepted(input=of(size))
    long = size > SHORT_INPUT
    assert (await record.row(job_id))["input"] == (None if long else of(size))
    assert await apart(record) == ({job_id} if long else set())
    assert (await record.job(job_id)).input is None


@sizes
async def test_whoever_takes_a_job_has_its_input(record: Record, size: int) -> None:
    assert {job.input for job in await taken(record, size)} == {of(size)}


async def test_an_input_that_is_too_long_for_a_claim_is_read_apart(record: Record) -> None:
    jobs = await taken(record, LONGEST + 1)
    assert {job.input for job in jobs} == {None}
    assert {await record.store.read_input(job.id) for job in jobs} == {of(LONGEST + 1)}
    assert await record.store.read_input((await record.claimed()).id) == b""


async def test_the_longest_input_has_longer_to_be_accepted(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.postgres.job_store.STORED_PER_S", 1 << 20)
    async with open_record(servers, accept_budget_s=0.05) as record:
        await record.accepted(input=b'"' + b"x" * (LARGEST_INPUT - 2) + b'"')


async def taken(record: Record, size: int) -> list[Job]:
    """Two jobs with an input of this size, taken in every way in which a consumer takes one."""
    claimed = await record.claimed(input=of(size))
    await record.accepted(input=of(size))
    polled = await record.store.pull("default", 10, KINDS, Turns().had)
    recovered = await record.store.recover_lost_claims([claimed.id])
    in_lane = await record.store.recover_lane_claims("default", KINDS)
    assert len(in_lane) == 2
    return [claimed, *polled, *recovered, *in_lane]


async def test_jobs_of_one_batch_have_each_their_own(record: Record) -> None:
    jobs = [new_job(input=of(size)) for size in (10, *SIZES, 300)]
    ids = await record.accepted(*jobs)
    found = await record.store.claim(ids, KINDS)
    assert {job.id: job.input for job in found} == {job.id: job.input for job in jobs}


async def test_work_that_is_under_way_already_leaves_no_input_behind(record: Record) -> None:
    twins = [new_job(input=of(500), fingerprint=b"f" * 32, flight=True) for _ in range(2)]
    await record.accepted(twins[0])
    assert (await record.store.accept([twins[1]])).ids == frozenset()
    assert (await record.store.accept([twins[0]])).ids == frozenset()
    assert await apart(record) == {twins[0].id}


@sizes
async def test_two_requests_that_take_over_one_key_in_one_batch_have_one_input(
    record: Record, size: int
) -> None:
    new = new_job(input=of(size), key="k", request_hash=b"h")
    assert (await record.store.accept([new, new])).ids == {new.id}
    assert await apart(record) == {new.id for _ in range(size > SHORT_INPUT)}


@sizes
@pytest.mark.parametrize("many", [False, True])
async def test_a_job_that_is_tried_again_has_an_input_of_its_own(
    record: Record, size: int, many: bool
) -> None:
    first, again = await ended(record, size, FAILURE), str(uuid_utils.uuid7())
    if many:
        await PostgresListingStore(record.database, record.settings).retry_jobs("acme", {first.id: again})
    else:
        await record.control.retry("acme", first.id, again)
    assert await record.control.delete_job("acme", first.id)
    assert (await record.claim(again)).input == of(size)
    assert await apart(record) == ({again} if size > SHORT_INPUT else set())


async def test_a_retry_that_comes_too_late_leaves_no_input_behind(record: Record) -> None:
    first = await ended(record, 500, FAILURE)
    once, twice = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
    assert await record.control.retry("acme", first.id, once)
    assert await record.control.retry("acme", first.id, twice) == []
    assert await apart(record) == {first.id, once}


@sizes
@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_schedule_gives_each_of_its_jobs_the_input(record: Record, size: int, by_hand: bool) -> None:
    store = PostgresScheduleStore(record.database, 5)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    new = new_schedule(input=of(size), cron="* * * * *", catch_up="all", next_at=now - timedelta(minutes=2))
    made = await store.keep_schedule(new, replace=False)
    assert made
    if by_hand:
        assert await store.run_schedule(made.id, str(uuid_utils.uuid7()))
    else:
        assert await FireSchedules(store, Telemetry()).once() >= 3
    ids = sorted(await record.left())
    assert await apart(record) == (set(ids) if size > SHORT_INPUT else set())
    assert {job.input for job in await record.store.claim(ids, KINDS)} == {of(size)}


@sizes
async def test_an_input_goes_with_its_job(record: Record, size: int) -> None:
    gone, pruned, stays = (
        await ended(record, size),
        await ended(record, size, id=aged_id(9_000), keep_s=0.0),
        await record.claimed(input=of(size)),
    )
    assert await record.control.delete_job("acme", gone.id)
    assert await record.keeper.prune_jobs(10) == [pruned.id]
    assert await apart(record) == ({stays.id} if size > SHORT_INPUT else set())
    assert [job.input for job in await record.store.recover_lost_claims([stays.id])] == [of(size)]


async def test_a_cancel_a_settle_and_a_rescue_leave_the_input_where_it_is(record: Record) -> None:
    job = await record.claimed(input=of(500))
    await record.give_back(job)
    await record.claim(job.id)
    await record.expire(job.id)
    await record.rescue()
    assert (await record.claim(job.id)).input == of(500)
    await record.control.cancel("acme", job.id)
    stored = await record.sql.fetchval("select input from inputs where id = $1", UUID(job.id))
    assert stored == of(500)
