"""What every ListingStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.core.job import Job, JobState
from sluice.core.lifecycle import Failure, failed, succeeded
from sluice.core.listing import ABOVE_ALL, ErrorGroup, ErrorMark, Filter, first_id
from tests.contract.conftest import Record
from tests.support.make_jobs import new_job

ALL = tuple(JobState)
FAILURE, OTHER = Failure("x", "one"), Failure("x", "two")


async def ended(record: Record, failure: Failure | None = None, **changes: Any) -> Job:
    """A job that succeeded or failed so."""
    job = await record.claimed(**changes)
    await record.jobs.settle([failed(job, failure) if failure else succeeded(job, b"{}")])
    return await record.job(job.id)


async def listed(record: Record, tenant: str = "acme", open_only: bool = False, **wanted: Any) -> list[str]:
    """Ids of the jobs that fit."""
    found = await record.listing.list_jobs(
        tenant, Filter(**({"states": ALL} | wanted)), ABOVE_ALL, 100, open_only
    )
    assert found.below is None
    return [job.id for job in found.jobs]


async def test_jobs_of_a_tenant_come_newest_first_in_pages_without_their_results(record: Record) -> None:
    done = await ended(record)
    ids = [done.id, *await record.accepted(new_job(), new_job(delay_s=60), new_job(), new_job())]
    await record.accepted(tenant="other")
    below, pages = ABOVE_ALL, []
    while below:
        found = await record.listing.list_jobs("acme", Filter(states=ALL), below, 2)
        pages.append(found.jobs)
        below = found.below or ""
    assert [len(page) for page in pages] == [2, 2, 1]
    shown = [job for page in pages for job in page]
    assert [job.id for job in shown] == ids[::-1]
    assert shown[-1] == done._replace(result=None)


async def test_only_what_fits_is_listed(record: Record) -> None:
    tagged, slow, later = await record.accepted(
        new_job(tags="a\x1fb"), new_job(kind="demo.sleep"), new_job(delay_s=60)
    )
    one, two = await ended(record, FAILURE), await ended(record, OTHER)
    assert await listed(record, states=("scheduled",)) == [later]
    assert await listed(record, states=("failed",)) == [two.id, one.id]
    assert await listed(record, kind="demo.sleep") == [slow]
    assert await listed(record, tag="b") == [tagged]
    assert await listed(record, error=FAILURE.fingerprint("demo.sum")) == [one.id]
    assert await listed(record, tenant="other") == []
    at = one.created_at
    assert len(await listed(record, created_after=at - timedelta(hours=1))) == 5
    assert await listed(record, created_before=at - timedelta(hours=1)) == []


async def test_what_neither_a_cancel_nor_a_retry_would_change_can_be_left_out(record: Record) -> None:
    (queued,) = await record.accepted()
    asked, running = await record.claimed(), await record.claimed()
    await record.control.cancel("acme", asked.id)
    once, never = await ended(record, FAILURE), await ended(record, FAILURE)
    await record.control.retry("acme", once.id, new_job().id)
    open_states: dict[str, Any] = {"states": ("queued", "running", "failed"), "kind": "demo.sum"}
    found = await listed(record, open_only=True, **open_states)
    assert {queued, running.id, never.id} <= set(found)
    assert {asked.id, once.id} & set(found) == set()


async def test_the_newest_failures_are_grouped_the_largest_first(record: Record) -> None:
    first = await ended(record, OTHER)
    last = [await ended(record, FAILURE) for _ in range(3)][-1]
    slow = await ended(record, FAILURE, kind="demo.sleep")
    await ended(record)
    groups = await record.listing.list_errors("acme", first_id(0), 100)
    assert groups[0][:6] == (
        FAILURE.fingerprint("demo.sum"),
        "demo.sum",
        3,
        last.finished_at,
        last.id,
        last.error,
    )
    assert (groups[0].state, groups[0].mark, groups[0].back_at) == ("open", None, None)
    assert groups[0].oldest <= groups[0].newest
    assert [(hour.minute, hour.second) for hour in groups[0].hours] == [(0, 0)] * 3
    assert {(each.kind, each.failures, each.example) for each in groups[1:]} == {
        ("demo.sum", 1, first.id),
        ("demo.sleep", 1, slow.id),
    }
    assert [each.failures for each in await record.listing.list_errors("acme", slow.id, 100)] == [1]
    assert sum(each.failures for each in await record.listing.list_errors("acme", first_id(0), 2)) == 2
    assert await record.listing.list_errors("other", first_id(0), 100) == []


async def test_what_fails_after_it_was_resolved_is_open_again_and_what_is_ignored_is_not(
    record: Record,
) -> None:
    async def group() -> ErrorGroup:
        (found,) = await record.listing.list_errors("acme", first_id(0), 100)
        return found

    await ended(record, FAILURE)
    fingerprint = FAILURE.fingerprint("demo.sum")
    await record.listing.mark_error("other", fingerprint, ErrorMark.IGNORED)
    assert (await group()).state == "open"
    await record.listing.mark_error("acme", fingerprint, ErrorMark.RESOLVED)
    resolved = await group()
    assert (resolved.state, resolved.mark, resolved.back_at) == ("resolved", "resolved", None)
    assert resolved.marked_at
    late = await ended(record, FAILURE)
    again = await group()
    assert (again.state, again.back_at, again.back_version) == ("open", late.finished_at, 1)
    await record.listing.mark_error("acme", fingerprint, ErrorMark.IGNORED)
    assert ((await group()).state, (await group()).mark) == ("ignored", "ignored")
    await record.listing.mark_error("acme", fingerprint, None)
    assert ((await group()).state, (await group()).marked_at) == ("open", None)


@pytest.mark.parametrize("tenant", ["acme", "other"])
async def test_many_jobs_are_cancelled_or_tried_again_as_one_is(record: Record, tenant: str) -> None:
    (queued,), running, done = await record.accepted(), await record.claimed(), await ended(record, FAILURE)
    cancelled = await record.listing.cancel_jobs(tenant, [queued, running.id, done.id])
    assert {job.id: job.state for job in cancelled} == (
        {queued: "cancelled", running.id: "running"} if tenant == "acme" else {}
    )
    again = {done.id: new_job().id, running.id: new_job().id}
    messages = await record.listing.retry_jobs(tenant, again)
    assert [message.ids for message in messages] == ([(again[done.id],)] if tenant == "acme" else [])
    assert await record.listing.retry_jobs(tenant, {done.id: new_job().id} if messages else {}) == []
