"""The arithmetic of rate limits: GCRA. Of a key one number is kept, the time at which it would have spent all that it took.

Times are whole microseconds. `sluice/adapters/redis/scripts/lease.lua` computes the same.
"""

from __future__ import annotations

import re
from math import ceil
from typing import NamedTuple

SECOND_US = 1_000_000
MOST_UNITS, MOST_WINDOW_S, MOST_RATE = 10_000_000, 86_400, 100_000
CHUNKS = 50
"""A process takes a fiftieth of the quota at once, and spends it by itself."""
OFF = "off"
_QUOTA = re.compile(r"(\d{1,8})/(\d{1,5})", re.ASCII)


class Quota(NamedTuple):
    """So many units at once, which come back evenly over a window of so many seconds."""

    units: int
    window_s: int

    @property
    def interval_us(self) -> int:
        """How long it takes until a unit is back."""
        return max(1, round(self.window_s * SECOND_US / self.units))

    @property
    def chunk(self) -> int:
        """How many units a process takes at once."""
        return max(1, self.units // CHUNKS)

    def half(self) -> Quota:
        """Return half of it in the same time."""
        return Quota(max(1, self.units // 2), self.window_s)

    def seconds_until(self, left: int) -> int:
        """Count the seconds until all units are back if so many are left."""
        return max(1, ceil((self.units - left) * self.interval_us / SECOND_US))


class Lease(NamedTuple):
    """Units that were taken, none if too few were there; how many are left, and after how long another try is worth it."""

    units: int
    left: int
    wait_us: int = 0


def read_quota(text: str) -> Quota | None:
    """Read `600/60`: 600 units in 60 seconds; `off` is no limit, None. Raises ValueError."""
    if text == OFF:
        return None
    match = _QUOTA.fullmatch(text)
    quota = Quota(int(match[1]), int(match[2])) if match else Quota(0, 0)
    if not (0 < quota.units <= MOST_UNITS and 0 < quota.window_s <= MOST_WINDOW_S):
        raise ValueError("a rate is written as 600/60: 600 in 60 seconds; off: no limit")
    if quota.units > quota.window_s * MOST_RATE:
        raise ValueError(f"a rate is at most {MOST_RATE} a second")
    return quota


def take(quota: Quota, tat_us: int, now_us: int, need: int, want: int, owed: int = 0) -> tuple[int, Lease]:
    """Take as many of the wanted units as there are, or none if that is less than is needed. Returns the time to keep, too.

    If any are taken, what is owed is taken as well, whether it is there or not. `need` is at most the whole quota.
    """
    tat_us, interval_us = max(tat_us, now_us), quota.interval_us
    room_us = quota.units * interval_us - (tat_us - now_us)
    room = room_us // interval_us
    if room < need:
        return tat_us, Lease(0, max(0, room), need * interval_us - room_us)
    units = max(need, min(want, room))
    return tat_us + (units + owed) * interval_us, Lease(units, max(0, room - units - owed))
