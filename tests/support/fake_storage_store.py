"""sluice.core.ports.StorageStore in memory."""

from __future__ import annotations

from tests.support.fake_record import FakeRecord


class FakeStorageStore(FakeRecord):
    """A record in memory, all of which is added up at every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, int] = {}

    async def add_up(self, jobs: int, turn_s: float, walk_s: float) -> bool:
        """All at once."""
        self.check()
        self.stored = {}
        for job in self.jobs.values():
            size = len(job.input or b"") + len(job.result or b"")
            self.stored[job.tenant] = self.stored.get(job.tenant, 0) + size
        return True

    async def list_large(self, size: int, limit: int) -> dict[str, int]:
        """As they were added up."""
        self.check()
        large = sorted(self.stored.items(), key=lambda each: -each[1])
        return {tenant: found for tenant, found in large[:limit] if found >= size}
