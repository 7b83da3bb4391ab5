"""Explain a job: the record says what it waits for, the statistics of its lane for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from api.jobs.lookup import Lookup, check_id
from sluice.core.count_lanes import CountLanes
from sluice.core.errors import JobUnknown
from sluice.core.explanation import Explanation, Situation, explain
from sluice.core.ports import SituationStore


class Explaining:
    """Explains the jobs of tenants. `broker_up` tells whether RabbitMQ takes messages, `clock` the record's time."""

    def __init__(
        self,
        store: SituationStore,
        lookup: Lookup,
        counts: CountLanes,
        broker_up: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._store, self._lookup, self._counts = store, lookup, counts
        self._broker_up, self._clock = broker_up, clock

    async def explain(self, tenant: str, job_id: str) -> tuple[Situation, Explanation]:
        """Explain a job. Raises JobUnknown, JobExpired, ServerAway."""
        found = await self._store.find_situation(tenant, check_id(job_id))
        if found is None:
            await self._lookup.find(tenant, job_id)
            raise JobUnknown
        lane = self._counts.newest().get(found.job.lane)
        now = datetime.fromtimestamp(self._clock(), UTC)
        return found, explain(found, lane, now, broker_away=not self._broker_up())
