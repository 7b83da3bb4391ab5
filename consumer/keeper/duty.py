"""A duty of the keeper, and the loop that performs it again and again, whatever fails."""

from __future__ import annotations

from random import Random
from typing import Protocol

from sluice.core.errors import ServerAway, TryAgain
from sluice.core.runtime.tasks import repeat
from sluice.core.runtime.telemetry import Event, Telemetry


class Duty(Protocol):
    """One thing the keeper does at every tick. The record's advisory try-lock lets one keeper do it at a time."""

    async def once(self) -> int:
        """Do it once; returns how much there was to do."""


async def keep(duty: Duty, every_s: float, telemetry: Telemetry) -> None:
    """Do a duty for ever, at this interval in seconds (± 20 %, so that keepers do not all act at once)."""
    rng = Random()  # noqa: S311  jitter

    async def try_once() -> None:
        try:
            await duty.once()
        except (ServerAway, TryAgain):
            pass  # reported by the breaker; the next tick tries again
        except Exception as error:  # noqa: BLE001  nobody would notice a duty that died
            telemetry.emit(Event.DUTY_FAILED, duty=type(duty).__name__, why=repr(error))

    await repeat(try_once, lambda: every_s * rng.uniform(0.8, 1.2))
