"""Refuse new jobs of a tenant that keeps as many bytes of inputs and results as it may.

The bytes are added up in the record a part at a time, by one process after the other; every api reads whose are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from sluice.core.errors import TRANSIENT, StorageFull
from sluice.core.ports import StorageStore
from sluice.core.runtime.tasks import repeat

MIB = 1024 * 1024
TURN_S, WALK_S = 1.0, 10.0
"""Seconds from one turn of adding up to the next, and from the end of one walk through all jobs to the next."""
JOBS = 10_000
"""Jobs that are looked at in one turn, of the newest and of all."""
BULK = 0.9
"""The part of its cap from which a tenant's batches are refused, while single jobs are taken."""
MOST_TENANTS = 10_000
"""Tenants that keep most, of which an api knows."""


class StorageCap:
    """Decides whether a tenant may keep more. `most` is in bytes; 0: any number."""

    def __init__(self, store: StorageStore, most: int) -> None:
        self._store, self._most = store, most
        self._large: Mapping[str, int] = {}

    async def follow(self) -> None:
        """Add up and read again and again, for ever."""
        await repeat(self.once, TURN_S)

    async def once(self) -> None:
        """Add up if it is this process's turn, and read what was found. What was known stays while the record is away."""
        with suppress(*TRANSIENT):
            await self._store.add_up(JOBS, TURN_S / 2, WALK_S)
            self._large = await self._list_large()

    async def read(self) -> None:
        """Read what others have added up, if there is a limit. What was known stays while the record is away."""
        if self._most:
            with suppress(*TRANSIENT):
                self._large = await self._list_large()

    async def _list_large(self) -> Mapping[str, int]:
        return await self._store.list_large(int(BULK * self._most), MOST_TENANTS)

    def check(self, tenant: str, bulk: bool = False) -> None:
        """Raise StorageFull if the tenant may keep no more, by a job alone or in `bulk`."""
        kept = self._large.get(tenant)
        if kept is not None and (bulk or kept >= self._most):
            raise StorageFull(kept // MIB, self._most // MIB)

    def full(self) -> int:
        """Count the tenants that may keep no more."""
        return sum(kept >= self._most for kept in self._large.values())

    def describe(self) -> str:
        """Describe how many tenants may keep no more, for /check."""
        return f"tenants with {self._most // MIB} MiB or more: {self.full()}" if self._most else "no limit"
