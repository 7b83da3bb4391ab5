"""The job of a tick begins a trace of its own where tracing is on; one that is made by hand is in the trace of its request."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from consumer.keeper.fire_schedules import FireSchedules
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.runtime.tracing import Span, Tracing
from sluice.core.schedule import DueSchedule
from tests.integration.record.record_fixture import Record
from tests.support.make_jobs import new_schedule

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def fire_two_ticks(record: Record, tracing: Tracing | None) -> list[str | None]:
    """What the record keeps as the traces of the jobs of two ticks."""
    store, telemetry = PostgresScheduleStore(record.database, 5), Telemetry(record.events)
    telemetry.tracing = tracing
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    new = new_schedule(cron="* * * * *", catch_up="all", next_at=due)
    assert await store.keep_schedule(new, replace=False)
    assert await FireSchedules(store, telemetry).once() >= 2
    assert await FireSchedules(store, telemetry).once() == 0
    return [row["traceparent"] for row in await record.sql.fetch("select traceparent from jobs order by id")]


async def test_each_job_begins_a_trace_whose_first_span_is_the_firing(record: Record) -> None:
    spans: list[Span] = []
    kept = await fire_two_ticks(record, Tracing(spans.append, 1))
    assert kept == [span.context.traceparent for span in spans]
    assert len({span.context.trace_id for span in spans}) == len(spans) >= 2
    ids = [str(row["id"]) for row in await record.sql.fetch("select id from jobs order by id")]
    for span, job_id in zip(spans, ids, strict=True):
        assert (span.name, span.parent, span.kind) == ("fire schedule", None, "producer")
        assert span.attributes == {"sluice.schedule": "nightly", "sluice.job.id": job_id}
        assert span.start_ns <= span.end_ns


class LateStore(PostgresScheduleStore):
    """Finds due what another keeper fires in the same moment."""

    async def due_schedules(self, limit: int, last: Collection[str] = ()) -> list[DueSchedule]:
        """Find them, and let the other fire them."""
        due = await super().due_schedules(limit, last)
        await FireSchedules(PostgresScheduleStore(self._database, 5), Telemetry()).once()
        return due


async def test_a_tick_that_another_keeper_fires_is_not_told(record: Record) -> None:
    spans: list[Span] = []
    telemetry = Telemetry(record.events)
    telemetry.tracing = Tracing(spans.append, 1)
    store = LateStore(record.database, 5)
    assert await store.keep_schedule(new_schedule(next_at=datetime.now(UTC)), replace=False)
    assert await FireSchedules(store, telemetry).once() == 0
    assert (await record.sql.fetchval("select count(*) from jobs"), spans) == (1, [])


@pytest.mark.parametrize("tracing", [None, Tracing(lambda span: pytest.fail(span.name), 0)])
async def test_without_tracing_or_luck_a_job_has_no_trace(record: Record, tracing: Tracing | None) -> None:
    assert set(await fire_two_ticks(record, tracing)) == {None}


async def test_a_job_that_is_made_by_hand_is_in_the_trace_of_its_request(record: Record) -> None:
    store = PostgresScheduleStore(record.database, 5)
    made = await store.keep_schedule(new_schedule(), replace=False)
    assert made
    assert await store.run_schedule(made.id, "0190a5b0-0000-7000-8000-000000000001", TRACEPARENT)
    assert await record.sql.fetchval("select traceparent from jobs") == TRACEPARENT
