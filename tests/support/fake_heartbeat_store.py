"""sluice.core.ports.HeartbeatStore in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sluice.core.errors import ServerAway
from sluice.core.job import Claim
from sluice.core.ports import Beat


class FakeHeartbeatStore:
    """Renews every claim that is not `lost`, and keeps what it was sent; `cancelled` are claims that are to stop.

    It can be `away`, or `frozen` so that it answers nobody.
    """

    def __init__(self) -> None:
        self.beats: list[dict[Claim, bytes | None]] = []
        self.lost: set[Claim] = set()
        self.cancelled: set[Claim] = set()
        self.away = self.frozen = False
        self.opened = self.closed = 0
        self._versions: dict[Claim, int] = {}

    async def open(self) -> FakeHeartbeatStore:
        """What Leases are given to open their connection."""
        self.opened += 1
        return self

    async def beat(self, held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        """Renew what was not lost."""
        if self.frozen:
            await asyncio.sleep(3600)
        if self.away:
            raise ServerAway("PostgreSQL")
        self.beats.append(dict(held))
        return [self._renew(claim, progress) for claim, progress in held if claim not in self.lost]

    async def close(self) -> None:
        """A frozen server does not even say good-bye."""
        self.closed += 1
        if self.frozen:
            await asyncio.sleep(3600)

    def _renew(self, claim: Claim, progress: bytes | None) -> Beat:
        """A job is in its second version once it is claimed, in another after each progress and after a cancel."""
        moved = progress is not None
        self._versions[claim] = self._versions.get(claim, 2) + moved
        cancelled = claim in self.cancelled
        return Beat(*claim, cancelled, self._versions[claim] + cancelled, moved)
