"""Check the invariants of the record, and report violations in metrics and in the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sluice.core.ports import Verifier
from sluice.core.runtime.telemetry import Event, Telemetry

NEWEST = 10_000
"""Finished jobs that are looked at, the newest, so that a look costs the same however many there are."""
SETTLE_S = 60.0
"""Seconds for what waited for a consumer to be done, after one has started."""


class VerifyRecord:
    """`violations` are the offenders by check, as found at `verified_at` (seconds since the epoch, 0: never yet)."""

    def __init__(
        self,
        verifier: Verifier,
        telemetry: Telemetry,
        settle_s: float = SETTLE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier, self._telemetry, self._clock = verifier, telemetry, clock
        self._not_before = time.monotonic() + settle_s
        self.violations: dict[str, int] = {}
        self.verified_at = 0.0

    async def once(self) -> int:
        """Check once, but not before this process has settled in.

        A turn that is skipped is lost to the fleet: one whose processes never live for two of them would never check.
        """
        await asyncio.sleep(self._not_before - time.monotonic())
        found = await self._verifier.verify(NEWEST)
        self.violations = {each.check: each.offenders for each in found}
        self.verified_at = self._clock()
        for each in found:
            self._telemetry.emit(
                Event.VIOLATED, each.offenders, check=each.check, samples=", ".join(each.samples)
            )
        return sum(self.violations.values())
