"""The record, as it is added up how much of it is whose."""

from __future__ import annotations

from typing import Protocol


class StorageStore(Protocol):
    """How many bytes of inputs and results each tenant keeps."""

    async def add_up(self, jobs: int, turn_s: float, walk_s: float) -> bool:
        """Add what came since the last turn, and go on with a walk through all jobs that finds anew what is kept: so many jobs of each.

        Of all processes one has a turn each `turn_s` seconds, and a walk begins `walk_s` seconds after the last. True if one has ended.
        What came in the last two seconds is left for later.
        """

    async def list_large(self, size: int, limit: int) -> dict[str, int]:
        """List the tenants that keep so many bytes or more, at most so many of those that keep most, each with its bytes."""
