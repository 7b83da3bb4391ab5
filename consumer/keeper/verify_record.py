"""Check the invariants of the record, and report violations in metrics and in the log."""

from __future__ import annotations

from collections.abc import Callable

from sluice.core.ports import Verifier
from sluice.core.runtime.telemetry import Event, Telemetry

NEWEST = 10_000
"""Finished jobs that are looked at, the newest, so that a look costs the same however many there are."""


class VerifyRecord:
    """`violations` are the offenders by check, as found at `verified_at` (seconds since the epoch, 0: never yet)."""

    def __init__(self, verifier: Verifier, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._verifier, self._telemetry, self._clock = verifier, telemetry, clock
        self._settling_in = True
        self.violations: dict[str, int] = {}
        self.verified_at = 0.0

    async def once(self) -> int:
        """Check once; skip the first turn, because work that waited for a consumer is not done yet when it starts."""
        if self._settling_in:
            self._settling_in = False
            return 0
        found = await self._verifier.verify(NEWEST)
        self.violations = {each.check: each.offenders for each in found}
        self.verified_at = self._clock()
        for each in found:
            self._telemetry.emit(
                Event.VIOLATED, each.offenders, check=each.check, samples=", ".join(each.samples)
            )
        return sum(self.violations.values())
