"""sluice.core.ports.LeaseStore in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sluice.core.errors import ServerAway
from sluice.core.job import Claim


class FakeLeaseStore:
    """Renews a lease that is not `over`, and keeps what it was sent; `cancelled` are claims that are to stop, `lost` hold no more.

    It can be `away`, or `frozen` so that it answers nobody. `takes`, `renewals`, `asked` and `progress` are what it was asked.
    """

    def __init__(self) -> None:
        self.takes = self.ends = self.opened = self.closed = 0
        self.renewals: list[bytes] = []
        self.asked: list[list[Claim]] = []
        self.progress: list[dict[Claim, bytes]] = []
        self.over = self.frozen = False
        self.away: bool | Exception = False
        self.cancelled: set[Claim] = set()
        self.lost: set[Claim] = set()
        self._versions: dict[Claim, int] = {}

    async def open(self) -> FakeLeaseStore:
        """Open it, as Lease is given to do."""
        self.opened += 1
        await self._answer()
        return self

    async def take(self) -> None:
        """Take a lease that holds."""
        await self._answer()
        self.takes += 1
        self.over = False

    async def renew(self, report: bytes) -> bool:
        """Renew it unless it is over."""
        await self._answer()
        if self.takes and not self.over:
            self.renewals.append(report)
        return bool(self.takes) and not self.over

    async def find_cancels(self, claims: Sequence[Claim]) -> list[Claim]:
        """Find those that are to stop."""
        await self._answer()
        self.asked.append(list(claims))
        return [each for each in claims if each in self.cancelled - self.lost]

    async def store_progress(self, progress: Mapping[Claim, bytes]) -> dict[str, int]:
        """Store what is not lost."""
        await self._answer()
        self.progress.append(dict(progress))
        return {claim.id: self._move(claim) for claim in progress if claim not in self.lost}

    async def end(self) -> None:
        """End it."""
        await self._answer()
        self.ends += 1
        self.over = True

    async def close(self) -> None:
        """Close it; a frozen server does not even say good-bye."""
        self.closed += 1
        if self.frozen:
            await asyncio.sleep(3600)

    async def _answer(self) -> None:
        await asyncio.sleep(3600 if self.frozen else 0)
        if self.away:
            raise self.away if isinstance(self.away, Exception) else ServerAway("PostgreSQL")

    def _move(self, claim: Claim) -> int:
        """Count versions: a job is in its second once it is claimed, and in its third after a cancel."""
        start = 3 if claim in self.cancelled else 2
        self._versions[claim] = self._versions.get(claim, start) + 1
        return self._versions[claim]
