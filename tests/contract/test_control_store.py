"""What every ControlStore does: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from typing import Any

from sluice.core.job import IdempotencyKeyUse, Job
from sluice.core.job_log import MOST_CLAIMS, LogBlock
from sluice.core.lifecycle import Failure, failed, released, retried, succeeded
from tests.contract.conftest import Record
from tests.support.make_jobs import new_job

FAILURE = Failure("handler-error", "LookupError", "nothing there", traceback="in line 1")
NO_JOB = "00000000-0000-0000-0000-000000000000"


async def failed_job(record: Record, **changes: Any) -> Job:
    """A job that has failed."""
    job = await record.claimed(**changes)
    await record.jobs.settle([failed(job, FAILURE)])
    return await record.job(job.id)


async def test_what_has_not_begun_is_cancelled_at_once(record: Record) -> None:
    for changes in ({}, {"delay_s": 60}):
        (job_id,) = await record.accepted(**changes)
        cancelled = await record.control.cancel("acme", job_id)
        assert cancelled == await record.job(job_id)
        assert cancelled is not None
        assert (cancelled.state, cancelled.version) == ("cancelled", 2)
        assert cancelled.finished_at == cancelled.cancel_requested_at is not None


async def test_what_runs_is_asked_to_stop_once(record: Record) -> None:
    job = await record.claimed()
    asked = await record.control.cancel("acme", job.id)
    assert asked is not None
    assert (asked.state, asked.version, asked.finished_at) == ("running", 3, None)
    assert asked.cancel_requested_at is not None
    assert await record.control.cancel("acme", job.id) == asked == await record.job(job.id)


async def test_what_is_finished_unknown_or_of_another_tenant_cannot_be_changed(record: Record) -> None:
    done = await failed_job(record)
    (waiting,) = await record.accepted()
    for tenant, job_id in (("acme", done.id), ("acme", new_job().id), ("other", waiting)):
        assert await record.control.cancel(tenant, job_id) is None
    for tenant, job_id in (("acme", waiting), ("acme", new_job().id), ("other", done.id)):
        assert await record.control.retry(tenant, job_id, new_job().id) == []
        assert not await record.control.delete_job(tenant, job_id)
        assert await record.control.find_retry(tenant, job_id) is None
    assert (await record.job(done.id), (await record.job(waiting)).state) == (done, "queued")


async def test_a_failed_job_is_tried_again_once(record: Record) -> None:
    job = await failed_job(record, priority="low", tags="a", timeout_s=5.0, deadline_s=60)
    new_id = new_job().id
    (message,) = await record.control.retry("acme", job.id, new_id)
    assert message[1:] == ("default", "low", (new_id,)) == (await record.outbox())[-1]
    again = await record.control.find_retry("acme", job.id)
    assert again is not None
    assert again == await record.job(new_id)
    fresh: dict[str, Any] = {
        "id": new_id, "state": "queued", "version": 1, "fence": 0, "attempt": 0, "deadline": None, "started_at": None,
        "finished_at": None, "error": None, "retry_of": job.id, "queued_at": again.queued_at, "created_at": again.created_at,
    }  # fmt: skip
    assert again == job._replace(**fresh)
    assert await record.control.retry("acme", job.id, new_job().id) == []


async def test_an_input_is_found_by_its_tenant_short_or_long(record: Record) -> None:
    short, long = b'{"a":12345678901234567890}', b'{"a":"' + b"x" * 100_000 + b'"}'
    (first,), (second,) = await record.accepted(input=short), await record.accepted(input=long)
    assert await record.control.find_input("acme", first) == short
    assert await record.control.find_input("acme", second) == long
    assert await record.control.find_input("other", first) is None
    assert await record.control.find_input("acme", new_job().id) is None


async def test_a_deleted_job_is_gone_and_its_key_stands_for_none(record: Record) -> None:
    job = await failed_job(record, key="k", request_hash=b"h")
    assert await record.control.delete_job("acme", job.id)
    assert not await record.control.delete_job("acme", job.id)
    assert await record.jobs.look_up([job.id]) == {}
    assert await record.control.list_attempts(job.id) == []
    use = IdempotencyKeyUse(b"h", NO_JOB)
    assert await record.jobs.find_idempotency_keys([("acme", "k")]) == {("acme", "k"): use}
    assert not await record.jobs.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", new_job().id))


async def test_attempts_that_did_not_succeed_are_listed_in_order(record: Record) -> None:
    job = await record.claimed()
    await record.jobs.settle([released(job)])
    (again,) = await record.jobs.claim([job.id], {job.kind: 1})
    await record.jobs.settle([retried(again, FAILURE, 0)])
    assert await record.keeper.queue_due(10) == {job.id: 6}
    (last,) = await record.jobs.claim([job.id], {job.kind: 1})
    await record.jobs.settle([succeeded(last, b"1")])
    attempts = await record.control.list_attempts(job.id)
    error = FAILURE.to_json(job.kind, 1)
    assert [each[:3] for each in attempts] == [(1, 1, "released"), (2, 1, "handler-error")]
    assert [each[5:] for each in attempts] == [(None, None), (error, "in line 1")]
    assert [each.started_at for each in attempts] == [job.started_at, again.started_at]
    assert all(each.started_at and each.started_at <= each.finished_at for each in attempts)


def log_of(fence: int, text: bytes = b'{"message":"a"}', first: int = 1) -> LogBlock:
    """What was logged under this claim."""
    return LogBlock(fence, first, text)


async def test_what_was_logged_is_kept_with_the_ending(record: Record) -> None:
    job = await record.claimed()
    await record.jobs.settle([retried(job, FAILURE, 0)._replace(log=log_of(1))])
    await record.keeper.queue_due(10)
    (again,) = await record.jobs.claim([job.id], {job.kind: 1})
    assert await record.control.read_logs(job.id, 0, 99) == [log_of(1)]
    log = log_of(2, b'{"message":"b"}\n{"message":"c"}', first=9)
    await record.jobs.settle([succeeded(again, b"1")._replace(log=log)])
    assert await record.control.read_logs(job.id, 0, 99) == [log_of(1), log]
    assert await record.control.read_logs(job.id, 2, 99) == [log]
    assert await record.control.read_logs(job.id, 3, 99) == []
    assert await record.control.read_logs(job.id, 0, 1) == [log_of(1)]


async def test_a_stale_ending_leaves_no_log_and_one_without_lines_none_either(record: Record) -> None:
    job, other = await record.claimed(), await record.claimed()
    await record.jobs.settle(
        [succeeded(job._replace(fence=9), b"1")._replace(log=log_of(9)), succeeded(other, b"1")]
    )
    assert (
        await record.control.read_logs(job.id, 0, 99) == await record.control.read_logs(other.id, 0, 99) == []
    )


async def test_a_job_keeps_what_its_newest_claims_have_logged(record: Record) -> None:
    job = await record.claimed()
    for fence in range(1, MOST_CLAIMS + 4):
        await record.jobs.settle([released(job)._replace(log=log_of(fence))])
        (job,) = await record.jobs.claim([job.id], {job.kind: 1})
    kept = [block.fence for block in await record.control.read_logs(job.id, 0, 99)]
    assert kept == list(range(4, MOST_CLAIMS + 4))


async def test_a_log_is_deleted_with_its_job(record: Record) -> None:
    job = await record.claimed()
    await record.jobs.settle([succeeded(job, b"1")._replace(log=log_of(1))])
    assert await record.control.delete_job("acme", job.id)
    assert await record.control.read_logs(job.id, 0, 99) == []
