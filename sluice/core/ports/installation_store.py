"""The record, as operators look at the whole installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.core.installation import RecordFacts, SeenConsumer


class InstallationStore(Protocol):
    """What the record knows of the processes that use it. Nothing here costs more because there are more jobs."""

    async def list_consumers(self, after: str, limit: int) -> Sequence[SeenConsumer]:
        """List consumers by their leases, at most so many of those behind this one. A dead one is among them until its jobs are rescued."""

    async def describe_record(self) -> RecordFacts:
        """Describe the record itself: its sizes are estimates."""
