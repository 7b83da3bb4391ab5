"""What the keeper does by one statement: it deletes what was kept for long enough, and fails what was not started in time."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from consumer.keeper.prune_again import PRUNED, PRUNED_AGAIN
from consumer.keeper.record_duties import AUDIT_AGAIN, BATCHES, RecordDuties
from sluice.core.document import render
from sluice.core.job import as_accepted
from sluice.core.lifecycle import DEADLINE_PASSED
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import AT, new_jobs

GONE = ["a", "b"]


class Record(FakeKeeperStore):
    """A record in which two jobs and three keys are old enough."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, ...]] = []

    async def prune_jobs(self, limit: int) -> list[str]:
        self.asked.append((limit,))
        return GONE

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        self.asked.append((keep_s, limit))
        return 3

    async def prune_batches(self, limit: int) -> int:
        self.asked.append((limit,))
        return limit if len(self.asked) < 3 else 5


def duties(record: Record, cache: FakeCache, events: Events) -> RecordDuties:
    return RecordDuties(record, cache, Telemetry(events))


async def test_jobs_go_with_their_documents() -> None:
    record, cache, events = Record(), FakeCache(), Events()
    cache.documents |= dict.fromkeys(["a", "c"])  # type: ignore[arg-type]  # what they are does not matter
    assert await duties(record, cache, events).prune_jobs() == 2
    assert (record.asked, set(cache.documents)) == ([(PRUNED,)], {"c"})
    assert events == [(Event.PRUNED, 2, {})]


async def test_a_turn_goes_on_while_there_is_more_but_not_for_ever() -> None:
    class Full(FakeKeeperStore):
        left = 100 * PRUNED

        async def prune_jobs(self, limit: int) -> list[str]:
            gone, self.left = min(limit, self.left), max(0, self.left - limit)
            return ["x"] * gone

        async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
            return len(await self.prune_jobs(limit))

        async def prune_audit(self, keep_s: float, limit: int) -> int:
            return len(await self.prune_jobs(limit))

    record = Full()
    duty = RecordDuties(record, FakeCache(), Telemetry())
    for prune in (duty.prune_jobs, partial(duty.prune_keys, 3_600)):
        assert await prune() == PRUNED * PRUNED_AGAIN
        record.left = PRUNED + 5
        assert [await prune() for _ in range(2)] == [PRUNED + 5, 0]
        record.left = 100 * PRUNED
    record.left = (AUDIT_AGAIN + 1) * PRUNED
    assert await duty.prune_audit(3_600) == AUDIT_AGAIN * PRUNED


async def test_jobs_go_without_redis_as_well() -> None:
    record, cache = Record(), FakeCache()
    cache.away = True
    assert await duties(record, cache, Events()).prune_jobs() == 2


async def test_keys_go_after_their_time() -> None:
    record = Record()
    assert await duties(record, FakeCache(), Events()).prune_keys(3_600) == 3
    assert record.asked == [(3_600, PRUNED)]


async def test_batches_go_while_there_are_more_but_not_for_ever() -> None:
    record = Record()
    assert await duties(record, FakeCache(), Events()).prune_batches() == 2 * BATCHES + 5
    assert record.asked == [(BATCHES,)] * 3
    record.prune_batches = always_full  # type: ignore[method-assign]  # as a record that never runs out of them
    assert await duties(record, FakeCache(), Events()).prune_batches() == PRUNED_AGAIN * BATCHES


async def always_full(limit: int) -> int:
    return limit


async def test_who_waits_for_an_overdue_job_hears_that_it_has_failed() -> None:
    record, cache, events = FakeKeeperStore(), FakeCache(), Events()
    for new in new_jobs(2, deadline_s=60):
        record.add(as_accepted(new, AT))
    record.now = AT + timedelta(seconds=60)
    duty = RecordDuties(record, cache, Telemetry(events))
    assert [await duty.fail_overdue() for _ in range(2)] == [2, 0]
    assert [(event, count) for event, count, _ in events] == [(Event.FAILED, 1)] * 2
    assert {fields["job_id"] for fields in events.fields(Event.FAILED)} == set(record.jobs)
    said = {"kind": "demo.sum", "attempt": 0, "type": "deadline-passed", "error": DEADLINE_PASSED.title}
    assert all(fields.items() >= said.items() for fields in events.fields(Event.FAILED))
    assert {job.state for job in record.jobs.values()} == {"failed"}
    assert cache.documents == {job.id: render(job) for job in record.jobs.values()}
    assert cache.announced == [{job.id: job.version for job in record.jobs.values()}]
