"""Give back what runs here by the record and is not in hand: its end was lost with a server, or the reply to its claim.

Nobody else would: its lease lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from consumer.failure_report import report_unforeseen
from consumer.keeper.rescue_jobs import RescueJobs
from sluice.core.errors import TryAgain
from sluice.core.job import Claim
from sluice.core.owner import LONGEST_CLAIM_S, Owner
from sluice.core.runtime.telemetry import Telemetry

UNDER_WAY_S = 2 * LONGEST_CLAIM_S
"""Seconds after which what was being claimed is in hand, and what was being settled has ended in the record."""
PAUSE_S = 2.0
"""Seconds until a record that did not answer is asked again, or one that another process looks through."""


class LostClaims:
    """Looks through the record when there may be such jobs. `in_hand` are the claims that this process runs or is settling."""

    def __init__(
        self,
        rescue: RescueJobs,
        owner: Owner,
        in_hand: Callable[[], Collection[Claim]],
        telemetry: Telemetry,
        under_way_s: float = UNDER_WAY_S,
    ) -> None:
        self._rescue, self._owner, self._in_hand = rescue, owner, in_hand
        self._telemetry, self._under_way_s = telemetry, under_way_s
        self._wanted = asyncio.Event()

    def look(self) -> None:
        """Look soon."""
        self._wanted.set()

    async def keep(self) -> None:
        """Look whenever it is asked for."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001  whatever it is, they are still there
                report_unforeseen(self._telemetry, "lost-claims", error)
                self._wanted.set()
                await asyncio.sleep(PAUSE_S)

    async def once(self) -> int:
        """Give back what is not in hand now and for as long as anything can be under way; returns how many jobs that were."""
        lease = str(self._owner.id)
        lost = await self._find(lease)
        if lost:
            await asyncio.sleep(self._under_way_s)
            lost &= await self._find(lease)
        if not lost or lease != str(self._owner.id):
            return 0
        return await self._rescue.rescue(sorted(lost), [lease])

    async def _find(self, lease: str) -> set[str]:
        """Find what was in hand neither before the look nor after: it takes long, and what ends meanwhile is no loss."""
        while True:
            before = {claim.id for claim in self._in_hand()}
            try:
                found = await self._rescue.find([lease], own=True)
            except TryAgain:
                await asyncio.sleep(PAUSE_S)
            else:
                return {*found} - before - {claim.id for claim in self._in_hand()}
