"""Know whether a bulk act may make new jobs: they count like those of a batch."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from sluice.core.errors import BacklogFull, StorageFull, WholeBacklogFull
from sluice.core.fair_share import CheckRoom
from sluice.core.ports import BulkStepStore
from sluice.core.storage_cap import TURN_S, StorageCap

STORAGE_S = 30.0
"""Seconds after which an act looks again whether its tenant may keep more: the invariant of stuck acts wants a look each minute."""


class NoRoom(NamedTuple):
    """Why an act makes no new jobs, as a problem of a submit is named, and seconds until it looks again."""

    reason: str
    wait_s: float


class RoomForRetries:
    """Asks what submits are judged by. `check` is that of the fair share, which knows the other caps."""

    def __init__(
        self,
        store: BulkStepStore,
        check: CheckRoom,
        storage_cap: StorageCap,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._check, self._storage_cap = store, check, storage_cap
        self._clock, self._read_at = clock, float("-inf")

    async def find(self, tenant: str, failed_ids: list[str]) -> NoRoom | None:
        """Return what keeps a tenant from retrying these jobs; None if nothing does. Raises ServerAway."""
        if self._clock() >= self._read_at + TURN_S:
            self._read_at = self._clock()
            await self._storage_cap.read()
        lanes = await self._store.list_lanes(failed_ids)
        try:
            for lane in lanes:
                self._check(tenant, lane, True)
        except BacklogFull as full:
            return NoRoom("tenant-backlog-full", full.retry_after_s)
        except WholeBacklogFull as full:
            return NoRoom("backlog-full", full.retry_after_s)
        except StorageFull:
            return NoRoom("tenant-storage-full", STORAGE_S)
        return None
