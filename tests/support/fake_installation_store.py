"""sluice.core.ports.InstallationStore in memory."""

from __future__ import annotations

from sluice.core.installation import RecordFacts, SeenConsumer, TableSize
from tests.support.fake_record import FakeRecord


class FakeInstallationStore(FakeRecord):
    """A record in memory, as operators look at it."""

    def __init__(self) -> None:
        super().__init__()
        self.consumers: list[SeenConsumer] = []

    async def list_consumers(self, after: str, limit: int) -> list[SeenConsumer]:
        """In the order of their leases."""
        self.check()
        found = sorted(self.consumers, key=lambda each: each.id)
        return [each for each in found if each.id > after][:limit]

    async def describe_record(self) -> RecordFacts:
        """With one table."""
        self.check()
        return RecordFacts("15.14", "0011", "0011", None, [TableSize("jobs", len(self.jobs), 8_192)])
