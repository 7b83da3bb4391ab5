"""Pruning deletes what was kept for long enough, and documents with it."""

from __future__ import annotations

from consumer.keeper.prune_jobs import JOBS_PER_TICK, PruneJobs
from consumer.keeper.prune_keys import KEYS_PER_TICK, PruneKeys
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeCache

GONE = ["a", "b"]


class Record:
    """A record in which two jobs and three keys are old enough."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, ...]] = []

    async def prune_jobs(self, limit: int) -> list[str]:
        self.asked.append((limit,))
        return GONE

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        self.asked.append((keep_s, limit))
        return 3


async def test_jobs_go_with_their_documents() -> None:
    record, cache, events = Record(), FakeCache(), Events()
    cache.documents |= dict.fromkeys(["a", "c"])  # type: ignore[arg-type]  # what they are does not matter
    assert await PruneJobs(record, cache, Telemetry(events)).once() == 2
    assert (record.asked, set(cache.documents)) == ([(JOBS_PER_TICK,)], {"c"})
    assert events == [(Event.PRUNED, 2, {})]


async def test_jobs_go_without_redis_as_well() -> None:
    record, cache = Record(), FakeCache()
    cache.away = True
    assert await PruneJobs(record, cache, Telemetry()).once() == 2


async def test_keys_go_after_their_time() -> None:
    record = Record()
    assert await PruneKeys(record, 3_600).once() == 3
    assert record.asked == [(3_600, KEYS_PER_TICK)]
