"""What every BatchStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.batch import BatchCounts, NewBatch
from sluice.core.errors import ServerAway
from sluice.core.job import IdempotencyKeyUse
from sluice.core.lifecycle import succeeded
from tests.contract.conftest import KINDS, Record
from tests.support.make_jobs import aged_id, new_job


def new_batch(**changes: Any) -> NewBatch:
    return NewBatch(aged_id(0), "acme", 3_600)._replace(**changes)


async def opened(record: Record, *planned: str | None, **changes: Any) -> str:
    """The id of a batch with these jobs."""
    new = new_batch(**changes)
    assert await record.batches.open_batch(new, planned)
    return new.id


async def counts(record: Record, batch_id: str) -> dict[str, int]:
    """Those that are not 0."""
    batch = await record.batches.count_batch("acme", batch_id)
    assert batch
    return {name: count for name, count in batch.counts._asdict().items() if count}


async def test_a_batch_counts_its_items_by_the_states_of_their_jobs(record: Record) -> None:
    delayed, queued, asked = await record.accepted(new_job(delay_s=60), new_job(), new_job())
    done, running = await record.claimed(), await record.claimed()
    await record.jobs.settle([succeeded(done, b"1")])
    await record.control.cancel("acme", asked)
    batch_id = await opened(record, delayed, queued, done.id, running.id, asked, None, aged_id(0), queued)
    batch = await record.batches.count_batch("acme", batch_id)
    assert batch
    assert batch.counts == BatchCounts(
        scheduled=1, queued=2, running=1, succeeded=1, failed=0, cancelled=1, refused=1, expired=1
    )
    assert batch.counts.unfinished == 4
    last = await record.job(queued)
    assert (batch.id, batch.lane, batch.state, batch.since) == (batch_id, last.lane, "queued", last.queued_at)
    assert set(await record.batches.list_unfinished("acme", batch_id)) == {delayed, queued, running.id}


async def test_a_version_rises_with_each_job_that_starts_ends_or_goes(record: Record) -> None:
    (job_id,) = await record.accepted()
    batch_id, versions = await opened(record, job_id, None), list[int]()
    for step in ("queued", "running", "succeeded", "gone"):
        if step == "running":
            (job,) = await record.jobs.claim([job_id], KINDS)
        elif step == "succeeded":
            await record.jobs.settle([succeeded(job, b"1")])
        elif step == "gone":
            assert await record.control.delete_job("acme", job_id)
        batch = await record.batches.count_batch("acme", batch_id)
        assert batch
        versions.append(batch.version)
    assert versions[:3] == [2, 3, 4]
    assert versions[3] > 4
    batch = await record.batches.count_batch("acme", batch_id)
    assert batch
    assert (batch.lane, batch.state, batch.since) == (None, None, None)


async def test_batches_of_others_and_unknown_ones_are_not_there(record: Record) -> None:
    batch_id = await opened(record, *await record.accepted())
    assert await record.batches.count_batch("other", batch_id) is None
    assert await record.batches.list_items("other", batch_id) is None
    assert await record.batches.list_items("acme", aged_id(0)) is None
    assert await record.batches.list_unfinished("other", batch_id) == []
    assert await record.batches.count_batch("acme", aged_id(0)) is None
    assert await record.batches.list_unfinished("acme", aged_id(0)) == []


async def test_a_batch_may_have_no_items_at_all(record: Record) -> None:
    batch = await record.batches.count_batch("acme", await opened(record))
    assert batch
    assert (batch.version, batch.counts) == (1, BatchCounts())
    assert await record.batches.list_items("acme", batch.id) == []


async def test_a_key_stands_for_the_first_batch_of_its_tenant(record: Record) -> None:
    first = await opened(record, key="k", request_hash=b"h")
    assert not await record.batches.open_batch(new_batch(key="k", request_hash=b"h"), [])
    await opened(record, tenant="other", key="k", request_hash=b"h")
    await opened(record)
    await opened(record)
    assert await record.batches.find_batch_by_key("acme", "k") == IdempotencyKeyUse(b"h", first)
    assert await record.batches.find_batch_by_key("acme", "unused") is None


async def test_what_items_came_to_replaces_what_was_planned(record: Record) -> None:
    mine, shared = await record.accepted(new_job(), new_job())
    batch_id = await opened(record, mine, aged_id(0), aged_id(0))
    assert await counts(record, batch_id) == {"queued": 1, "expired": 2}
    await record.batches.close_batch(batch_id, [mine, shared, None])
    assert await counts(record, batch_id) == {"queued": 2, "refused": 1}
    assert await record.batches.list_items("acme", batch_id) == [mine, shared, None]


async def test_what_another_request_had_accepted_stays(record: Record) -> None:
    """Both came with the same key; the one that was refused something is the last to close."""
    first, second = await record.accepted(new_job(), new_job())
    batch_id = await opened(record, first, aged_id(0))
    await record.batches.close_batch(batch_id, [first, second, None])
    await record.batches.close_batch(batch_id, [None, second])
    assert await counts(record, batch_id) == {"queued": 2, "refused": 1}
    await record.batches.close_batch(batch_id, [first, second, None, first])
    assert await counts(record, batch_id) == {"queued": 3, "refused": 1}


async def test_a_record_that_is_away_is_told(record: Record) -> None:
    record.leave()
    for call in (
        record.batches.open_batch(new_batch(), []),
        record.batches.find_batch_by_key("acme", "k"),
        record.batches.close_batch(aged_id(0), []),
        record.batches.count_batch("acme", aged_id(0)),
        record.batches.list_items("acme", aged_id(0)),
        record.batches.list_unfinished("acme", aged_id(0)),
    ):
        with pytest.raises(ServerAway):
            await call
