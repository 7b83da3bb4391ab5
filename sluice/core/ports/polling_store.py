"""The record for consumers that poll while RabbitMQ is away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sluice.core.job import Job


class PollingStore(Protocol):
    """The record, as consumers use it while RabbitMQ is away."""

    async def pull(
        self, lane: str, limit: int, kinds: Mapping[str, int], turns: Mapping[str, int]
    ) -> list[Job]:
        """Claim the oldest queued jobs of a lane, in turns by priority (sluice.core.lanes.Turns); the overdue come back failed."""

    async def recover_lane_claims(self, lane: str, kinds: Mapping[str, int]) -> list[Job]:
        """Read the jobs of this lane and of these kinds that this process holds."""
