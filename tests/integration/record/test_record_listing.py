"""Lists and bulk changes against the real PostgreSQL: filters, pages of bounded cost, and what many cancels or retries do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
import uuid_utils

from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.postgres.store import AT_ONCE
from sluice.core.document import render_item
from sluice.core.errors import Overloaded
from sluice.core.job import TAG_SEPARATOR, Job, JobState
from sluice.core.lifecycle import Failure, failed, succeeded
from sluice.core.listing import ABOVE_ALL, ErrorMark, Filter, first_id
from tests.integration.record.record_fixture import KINDS, Record, body, ids_in
from tests.support.make_jobs import ids_of, new_job, new_jobs

EVERY = Filter(tuple(JobState))
FAILURE = Failure("handler-error", "LookupError", "row 1 is missing")
OTHER = Failure("gave-up", "The handler gave up", "row 1 is empty")
OPEN = (JobState.SCHEDULED, JobState.QUEUED, JobState.RUNNING)
INDEXES = {
    "list_jobs": ["jobs_open", "jobs_succeeded", "jobs_failed", "jobs_cancelled"],
    "list_errors": ["jobs_failed"],
}
NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def listing(record: Record) -> PostgresListingStore:
    """Lists over the record."""
    return PostgresListingStore(record.database, record.settings)


async def listed(listing: PostgresListingStore, wanted: Filter = EVERY, open_only: bool = False) -> list[str]:
    """The ids of one page that is large enough."""
    found = await listing.list_jobs("acme", wanted, ABOVE_ALL, 100, open_only)
    assert found.below is None
    return ids_of(found.jobs)


async def end(record: Record, ids: Sequence[str], failure: Failure | None = FAILURE) -> None:
    """Claim these and let them fail, or succeed."""
    jobs = await record.store.claim(ids, dict.fromkeys(KINDS, 9))
    await record.store.settle(
        [failed(job, failure) if failure else succeeded(job, b'{"total":3}') for job in jobs]
    )


async def one_of_each(record: Record) -> dict[str, str]:
    """The id of a job in each state, in the order in which they were made."""
    made = {state: new_job(delay_s=60 if state == "scheduled" else None) for state in JobState}
    await record.accepted(*made.values())
    ids = {state.value: job.id for state, job in made.items()}
    await record.claim(ids["running"])
    await end(record, [ids["succeeded"]], None)
    await end(record, [ids["failed"]])
    await record.control.cancel("acme", ids["cancelled"])
    return ids


async def test_jobs_come_newest_first_whatever_their_state(
    record: Record, listing: PostgresListingStore
) -> None:
    ids = list((await one_of_each(record)).values())
    for tenant in ("aaa", "acm", "acme0", "acmé", "other"):  # before and behind this one in the index
        await record.accepted(*new_jobs(3, tenant=tenant))
    assert await listed(listing) == ids[::-1]


async def test_an_item_is_the_document_without_its_result(
    record: Record, listing: PostgresListingStore
) -> None:
    await one_of_each(record)
    found = await listing.list_jobs("acme", EVERY, ABOVE_ALL, 100)
    for job in found.jobs:
        whole = await record.job(job.id)
        assert job == whole._replace(result=None)
        document = orjson.loads(body(whole))
        del document["result"]
        assert orjson.loads(render_item(job)) == document


@pytest.mark.parametrize(
    "states", [("queued",), ("running", "failed"), ("cancelled", "scheduled", "succeeded")]
)
async def test_states_are_told_apart(
    record: Record, listing: PostgresListingStore, states: tuple[str, ...]
) -> None:
    ids = await one_of_each(record)
    found = await listed(listing, Filter(states))
    assert found == [job_id for state, job_id in reversed(ids.items()) if state in states]


async def test_kind_and_tag_are_told_apart(record: Record, listing: PostgresListingStore) -> None:
    tagged = new_job(tags=TAG_SEPARATOR.join(["nightly", "a"]))
    nearly = new_job(tags="nightly2", kind="demo.sleep")
    await record.accepted(tagged, nearly, new_job())
    assert await listed(listing, EVERY._replace(tag="nightly")) == [tagged.id]
    assert await listed(listing, EVERY._replace(tag="a")) == [tagged.id]
    assert await listed(listing, EVERY._replace(tag="nightly", kind="demo.sleep")) == []
    assert await listed(listing, EVERY._replace(kind="demo.sleep")) == [nearly.id]


async def test_the_time_of_creation_bounds_a_list_to_the_microsecond(
    record: Record, listing: PostgresListingStore
) -> None:
    (old,), (new,) = await record.accepted(), await record.accepted()
    at = (await record.job(new)).created_at
    just = timedelta(microseconds=1)
    assert await listed(listing, EVERY._replace(created_after=at)) == [new]
    assert await listed(listing, EVERY._replace(created_after=at + just)) == []
    assert await listed(listing, EVERY._replace(created_before=at)) == [old]
    assert await listed(listing, EVERY._replace(created_before=at + just)) == [new, old]


async def test_clocks_may_differ_by_half_a_minute(record: Record, listing: PostgresListingStore) -> None:
    now = datetime.now(UTC)
    early, late = (first_id(now.timestamp() + shift) for shift in (-30, 30))
    await record.accepted(new_job(id=early), new_job(id=late))
    after, before = now - timedelta(seconds=10), now + timedelta(seconds=10)
    assert await listed(listing, EVERY._replace(created_after=after, created_before=before)) == [late, early]


@pytest.mark.parametrize("year", [1, 9999])
async def test_any_time_may_bound_a_list(record: Record, listing: PostgresListingStore, year: int) -> None:
    ids = await record.accepted()
    at = datetime(year, 1, 1, tzinfo=UTC)
    assert await listed(listing, EVERY._replace(created_after=at)) == (ids if year == 1 else [])
    assert await listed(listing, EVERY._replace(created_before=at)) == ([] if year == 1 else ids)


async def test_errors_are_told_apart_by_their_fingerprint(
    record: Record, listing: PostgresListingStore
) -> None:
    one, two, three = await record.accepted(*new_jobs(3))
    await end(record, [one])
    await end(record, [two], FAILURE._replace(detail="row 200 is missing"))
    await end(record, [three], OTHER)
    wanted = Filter(("failed",), error=FAILURE.fingerprint("demo.sum"))
    assert await listed(listing, wanted) == [two, one]


@pytest.mark.parametrize(("limit", "examined"), [(1, 1), (1, 3), (3, 2), (7, 100), (100, 4), (100, 100)])
@pytest.mark.parametrize("wanted", [EVERY, EVERY._replace(tag="x"), Filter(("failed", "queued"), tag="x")])
async def test_pages_show_every_job_once_however_little_each_may_cost(
    record: Record, wanted: Filter, limit: int, examined: int
) -> None:
    new = [new_job(tags="x" if number % 3 == 0 else None) for number in range(30)]
    ids = await record.accepted(*new, *new_jobs(5, tenant="other"))
    await end(record, ids[3:9])
    await end(record, ids[12:20], None)
    listing = PostgresListingStore(record.database, record.settings, examined)
    shown: list[Job] = []
    below: str | None = ABOVE_ALL
    while below:
        page = await listing.list_jobs("acme", wanted, below, limit)
        assert len(page.jobs) <= limit
        assert page.below is None or page.below < below
        shown, below = shown + page.jobs, page.below
    rows = [await record.job(job_id) for job_id in ids[:30]]
    fitting = [row for row in rows if row.state in wanted.states and wanted.tag in (None, row.tags)]
    assert ids_of(shown) == ids_of(fitting)[::-1]


async def test_a_list_goes_by_its_indexes_alone(record: Record) -> None:
    """Without sorting what it finds, so that it may stop early; with the plans of a process, which suit any tenant."""
    rows = """insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at)
              select gen_random_uuid(), 'tenant' || n % 50, 'k', 'default', 'normal', 'queued', '', 1, 60, now()
              from generate_series(1, 2000) as n"""
    await record.sql.execute(rows)
    await record.sql.execute("analyze jobs")
    for query, indexes in INDEXES.items():
        plan = await _plan(record, query)
        assert re.findall(r"Index Scan Backward using (\w+)", plan) == indexes, plan
        assert "Seq Scan" not in plan
        assert "hashed" not in plan


@pytest.mark.parametrize("finished_as", ["succeeded", "failed", "cancelled"])
async def test_a_list_of_the_last_minutes_passes_over_none_that_are_older(
    record: Record, finished_as: str
) -> None:
    """Neither does one of errors: a tenant may have millions of them."""
    rows = """insert into jobs (id, tenant, kind, lane, priority, state, input, result, error, max_attempts, keep_s, queued_at, finished_at,
                                expires_at, cancel_requested_at)
              select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'acme', 'k', 'default', 'normal', $1, '',
                     case when $1 = 'succeeded' then '1'::bytea end, case when $1 = 'failed' then '{}'::bytea end, 1, 60, now(), now(), now(),
                     case when $1 = 'cancelled' then now() end
              from generate_series(1, 20000) as n"""
    await record.sql.execute(rows, finished_as)
    await record.sql.execute("vacuum analyze jobs")
    after = EVERY._replace(created_after=datetime.now(UTC) - timedelta(minutes=15))
    listed = ["acme", after.states, ABOVE_ALL, after.lowest_id, *after[1:], False, 2_000, 51]
    for query, values in (("list_jobs", listed), ("list_errors", ["acme", after.lowest_id, 1_000])):
        text = f"explain (analyze, buffers, format json) {load_queries()[query]}"
        (plan,) = orjson.loads(await record.sql.fetchval(text, *values))
        assert plan["Plan"]["Actual Rows"] == 0
        assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 40, query


@pytest.mark.parametrize(
    ("wanted", "most"),
    [(EVERY, 51), (Filter(("failed",)), 51), (Filter(("queued",)), 2_000), (EVERY._replace(kind="k"), 2_000)],
)
async def test_a_page_that_takes_all_examines_no_more_than_it_shows(
    record: Record, monkeypatch: pytest.MonkeyPatch, wanted: Filter, most: int
) -> None:
    asked: list[tuple[object, ...]] = []

    async def fetch(_: object, __: str, *args: object, **___: object) -> list[object]:
        asked.append(args)
        return []

    monkeypatch.setattr(type(record.database), "fetch", fetch)
    listing = PostgresListingStore(record.database, record.settings)
    await listing.list_jobs("acme", wanted, ABOVE_ALL, 50)
    ((*_, examined, limit),) = asked
    assert (examined, limit) == (most, 51)


async def _plan(record: Record, query: str) -> str:
    settings = "; ".join(f"set {key} = '{value}'" for key, value in SETTINGS.items())
    await record.sql.execute(settings)
    statement = load_queries()[query]
    await record.sql.execute(f"prepare {query}_ as {statement}")
    nulls = ", ".join(["null"] * max(map(int, re.findall(r"\$(\d+)", statement))))
    return "\n".join(row[0] for row in await record.sql.fetch(f"explain execute {query}_({nulls})"))


async def test_lists_leave_connections_to_others(record: Record, listing: PostgresListingStore) -> None:
    (job_id,) = await record.accepted()
    async with record.locked("lock table jobs in access exclusive mode") as rival:
        waiting = [asyncio.create_task(listed(listing)) for _ in range(AT_ONCE)]
        await record.until_waiting(AT_ONCE)
        with pytest.raises(Overloaded):
            await listed(listing)
        await rival.execute("commit")
        assert await asyncio.gather(*waiting) == [[job_id]] * AT_ONCE
    assert await listed(listing) == [job_id]


# Many at once


async def test_many_are_cancelled_as_one_is(record: Record, listing: PostgresListingStore) -> None:
    ids = await one_of_each(record)
    (twin,) = await record.accepted()
    expected = await record.control.cancel("acme", twin)
    changed = await listing.cancel_jobs("acme", [*ids.values(), NOBODY])
    assert expected
    assert {job.id: job.state for job in changed} == {
        ids["scheduled"]: "cancelled",
        ids["queued"]: "cancelled",
        ids["running"]: "running",
    }
    for job in changed:
        assert job == (await record.job(job.id))._replace(result=None)
        assert job.cancel_requested_at
    assert await listing.cancel_jobs("other", list(ids.values())) == []


async def test_many_are_tried_again_in_one_message_and_only_once(
    record: Record, listing: PostgresListingStore
) -> None:
    ids = await record.accepted(*new_jobs(8), *new_jobs(4, lane="heavy"))
    await end(record, ids)
    await record.empty_outbox()
    pairs = [{job_id: str(uuid_utils.uuid7()) for job_id in ids[::step]} for step in (1, -1, 1, -1)]
    made = await asyncio.gather(*(listing.retry_jobs("acme", each) for each in pairs))
    messages = [message for each in made for message in each]
    again = await record.sql.fetch("select id::text, retry_of::text from jobs where retry_of is not null")
    assert sorted(row["retry_of"] for row in again) == ids
    assert sorted(ids_in(messages)) == sorted(row["id"] for row in again)
    assert [(each.id, each.ids) for each in await record.outbox()] == sorted(
        (each.outbox_id, list(each.ids)) for each in messages
    )
    assert {(each.lane, each.priority) for each in messages} == {("default", "normal"), ("heavy", "normal")}
    assert await listing.retry_jobs("acme", pairs[0]) == []


async def test_long_inputs_are_copied_some_at_a_time(
    record: Record, listing: PostgresListingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.postgres.listing_store.COPIED_AT_ONCE", 2_500)
    ids = await record.accepted(*(new_job(input=b"1" * 1_000) for _ in range(7)), *new_jobs(2))
    await end(record, ids[:6] + ids[7:])
    messages = await listing.retry_jobs("acme", {each: str(uuid_utils.uuid7()) for each in [NOBODY, *ids]})
    assert sorted(len(message.ids) for message in messages) == [3, 5], (
        "three long ones each time, and the short ones at once"
    )
    assert await record.sql.fetchval("select count(*) from inputs") == 7 + 6


async def test_retries_of_many_in_opposite_orders_never_deadlock(
    record: Record, listing: PostgresListingStore
) -> None:
    ids = await record.accepted(*new_jobs(400))
    await end(record, ids)
    for part in (ids[:200], ids[200:]):
        pairs = [{each: str(uuid_utils.uuid7()) for each in part[:: 1 if turn else -1]} for turn in (0, 1, 0)]
        made = await asyncio.gather(*(listing.retry_jobs("acme", each) for each in pairs))
        assert sum(len(message.ids) for messages in made for message in messages) == 200


async def test_only_what_may_be_is_tried_again(record: Record, listing: PostgresListingStore) -> None:
    ids = await one_of_each(record)
    new_ids = {job_id: str(uuid_utils.uuid7()) for job_id in [*ids.values(), NOBODY]}
    assert await listing.retry_jobs("other", new_ids) == []
    (message,) = await listing.retry_jobs("acme", new_ids)
    assert message.ids == (new_ids[ids["failed"]],)


async def test_what_cannot_be_changed_any_more_is_left_out_where_that_is_asked(
    record: Record, listing: PostgresListingStore
) -> None:
    ids = await one_of_each(record)
    assert await listed(listing, Filter(OPEN), open_only=True) == [
        ids[state] for state in ("running", "queued", "scheduled")
    ]
    await listing.cancel_jobs("acme", [ids["running"]])
    assert ids["running"] not in await listed(listing, Filter(OPEN), open_only=True)
    assert await listed(listing, Filter(("failed",)), open_only=True) == [ids["failed"]]
    await listing.retry_jobs("acme", {ids["failed"]: str(uuid_utils.uuid7())})
    assert await listed(listing, Filter(("failed",)), open_only=True) == []


# By error


async def test_failures_are_grouped_by_error_the_most_frequent_first(
    record: Record, listing: PostgresListingStore
) -> None:
    ids = await record.accepted(*new_jobs(5), new_job(kind="demo.sleep"))
    await end(record, ids[:1], OTHER)
    for number, job_id in enumerate(ids[1:4]):
        await end(record, [job_id], FAILURE._replace(detail=f"row {number} is missing"))
    await end(record, ids[4:5], None)
    await end(record, ids[5:])
    (strange,) = await record.accepted(tenant="other")
    await end(record, [strange])
    groups = await listing.list_errors("acme", first_id(0), 100)
    seen = [(group.fingerprint, group.kind, group.failures, group.example) for group in groups]
    assert seen == [
        (FAILURE.fingerprint("demo.sum"), "demo.sum", 3, ids[3]),
        (FAILURE.fingerprint("demo.sleep"), "demo.sleep", 1, ids[5]),
        (OTHER.fingerprint("demo.sum"), "demo.sum", 1, ids[0]),
    ]
    newest = await record.job(ids[3])
    assert (groups[0].newest, groups[0].error) == (newest.finished_at, newest.error)


async def test_only_the_newest_failures_are_grouped(record: Record, listing: PostgresListingStore) -> None:
    ids = await record.accepted(*new_jobs(3))
    await end(record, ids)
    for lowest, limit in ((first_id(0), 2), (ids[1], 100)):
        (group,) = await listing.list_errors("acme", lowest, limit)
        assert (group.failures, group.example) == (2, ids[2])


async def test_failures_of_an_older_release_stand_together(
    record: Record, listing: PostgresListingStore
) -> None:
    """As a consumer that knows no fingerprints leaves them."""
    ids = await record.accepted(*new_jobs(2))
    settle = """update jobs set state = 'failed', finished_at = now(), expires_at = now(), version = 2, error = '{"type":"gave-up"}'
                where id = any($1)"""
    await record.sql.execute(settle, [UUID(job_id) for job_id in ids])
    (group,) = await listing.list_errors("acme", first_id(0), 10)
    assert (group.fingerprint, group.failures, group.error) == (None, 2, b'{"type":"gave-up"}')


async def test_the_first_failure_after_a_mark_tells_the_version_that_it_was_accepted_for(
    record: Record, listing: PostgresListingStore
) -> None:
    await end(record, await record.accepted(new_job()))
    await listing.mark_error("acme", FAILURE.fingerprint("demo.sum"), ErrorMark.RESOLVED)
    first, later = await record.accepted(new_job(handler_version=3), new_job(handler_version=4))
    await end(record, [first])
    await end(record, [later])
    (group,) = await listing.list_errors("acme", first_id(0), 10)
    assert (group.failures, group.back_version) == (3, 3)
    assert group.back_at == (await record.job(first)).finished_at
