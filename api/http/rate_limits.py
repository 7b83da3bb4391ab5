"""Rate limits of keys: units are leased from Redis in chunks and spent in process, so a request mostly costs no round trip.

Between the lease and the spending a process holds at most 1.5 chunks of a key, a chunk being a fiftieth of the quota: by so much
may a key with many processes get more than its quota at once, or miss a part of it that another process holds.
While Redis is away each process gives each key half of the quota, counted here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import Any, NamedTuple

from api.http.asgi import Header
from api.http.errors import RateLimited
from sluice.core.ports import RateLedger
from sluice.core.rate_limit import SECOND_US, Quota, take
from sluice.core.runtime.bounded_dict import BoundedDict
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError

MOST_KEYS = 10_000
"""Keys whose units are held; the units of those that are dropped are lost to them."""
PATIENCE_S = 0.04
"""Seconds that a request waits for a lease before this process counts by itself: a refusal is told within 50 ms."""
AWAY_S = 1.0
"""Seconds for which it does so before it asks Redis again."""
LEAST_REFUSED_S = 0.02
"""Seconds for which a refusal is good: a key that floods is not asked for more often."""

CHARGED = "sluice.charged"
"""Key of the scope: which limit a request counts against, and whose."""
PAID = "sluice.paid"
"""Key of the scope: the fast path has counted the request, and passes it on."""


class _Bucket:
    """What this process holds of a key's quota, or owes (units < 0)."""

    __slots__ = (
        "away_until",
        "leasing",
        "left",
        "refused_need",
        "refused_until",
        "tat_us",
        "units",
        "waiting",
    )

    def __init__(self, left: int) -> None:
        self.units = self.tat_us = self.waiting = 0
        self.left = left
        self.refused_until = self.away_until = 0.0
        self.refused_need = 1
        self.leasing: asyncio.Task[bool] | None = None


class KeyLimit:
    """A limit that each key has. Without a quota there is none."""

    def __init__(
        self,
        name: str,
        quota: Quota | None,
        ledger: RateLedger,
        telemetry: Telemetry,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._name, self._ledger, self._telemetry, self._clock = name, ledger, telemetry, clock
        self._given, self._quota = quota is not None, quota or Quota(1, 1)
        self._chunk, self._half = self._quota.chunk, self._quota.half()
        self._buckets: BoundedDict[str, _Bucket] = BoundedDict(MOST_KEYS)
        policy = f'"{name}";q={self._quota.units};w={self._quota.window_s}'
        self._policy: Header = (b"ratelimit-policy", policy.encode())

    def try_spend(self, key_id: str) -> bool:
        """Spend a unit that is here; false if none is. This is all that most requests pay."""
        if not self._given:
            return True
        bucket = self._buckets.get(key_id)
        if bucket is None or bucket.units < 1:
            return False
        bucket.units -= 1
        if bucket.units == self._chunk // 2 and bucket.leasing is None:
            self._start_lease(key_id, bucket, 1)
        return True

    async def spend(self, key_id: str, units: int = 1) -> None:
        """Spend so many units; if that is more than the quota, all of it, and owe the rest. Raises RateLimited."""
        if units < 1 or (units == 1 and self.try_spend(key_id)) or not self._given:
            return
        bucket, until = self._find(key_id), self._clock() + PATIENCE_S
        must = min(units, self._quota.units)
        owed = units - must
        bucket.waiting += must
        try:
            while bucket.units < must:
                now = self._clock()
                need = must - max(0, bucket.units)
                if now < bucket.refused_until and need >= bucket.refused_need:
                    raise self._refuse(bucket.refused_until - now)
                if now < bucket.away_until or now >= until:
                    self._spend_here(bucket, must, owed, now)
                    return
                mine = bucket.leasing is None
                task = bucket.leasing or self._start_lease(key_id, bucket, need, owed)
                await asyncio.wait({task}, timeout=until - now)
                if mine and task.done() and task.result():
                    owed = 0
            bucket.units -= must + owed
        finally:
            bucket.waiting -= must

    def owe(self, key_id: str, units: int) -> None:
        """Take so many units for what was done already; whatever is not here is paid with the next lease."""
        if self._given:
            self._find(key_id).units -= units

    def headers(self, key_id: str) -> list[Header]:
        """Say what the limit is, and what this process knows to be left of it. Nothing if there is none."""
        if not self._given:
            return []
        bucket = self._buckets.get(key_id)
        left = bucket.left + bucket.units if bucket else self._quota.units
        left = min(max(left, 0), self._quota.units)
        text = f'"{self._name}";r={left};t={self._quota.seconds_until(left)}'
        return [self._policy, (b"ratelimit", text.encode())]

    def _find(self, key_id: str) -> _Bucket:
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = _Bucket(self._quota.units)
        return bucket

    def _start_lease(self, key_id: str, bucket: _Bucket, need: int, owed: int = 0) -> asyncio.Task[bool]:
        bucket.leasing = asyncio.create_task(self._lease(key_id, bucket, need, owed), name="lease-units")
        return bucket.leasing

    async def _lease(self, key_id: str, bucket: _Bucket, need: int, owed: int) -> bool:
        """Lease a chunk, or what all who wait need; return whether there was enough, so that what is owed is paid as well."""
        debt, want = max(0, -bucket.units), max(need, self._chunk, bucket.waiting - max(0, bucket.units))
        try:
            lease = await self._ledger.lease(self._name, key_id, self._quota, need, want, owed + debt)
        except SluiceError:
            bucket.away_until = self._clock() + AWAY_S
            return False
        finally:
            bucket.leasing = None
        bucket.left, bucket.refused_until = lease.left, 0.0
        if lease.units:
            bucket.units += lease.units + debt
            return True
        wait_s = max(lease.wait_us / SECOND_US, LEAST_REFUSED_S)
        bucket.refused_until, bucket.refused_need = self._clock() + wait_s, need
        return False

    def _spend_here(self, bucket: _Bucket, must: int, owed: int, now: float) -> None:
        """Spend without Redis. Raises RateLimited."""
        now_us, need = round(now * SECOND_US), min(must, self._half.units)
        bucket.tat_us, lease = take(self._half, bucket.tat_us, now_us, need, need, must - need + owed)
        bucket.left = lease.left
        if not lease.units:
            raise self._refuse(lease.wait_us / SECOND_US)

    def _refuse(self, wait_s: float) -> RateLimited:
        self._telemetry.emit(Event.RATE_LIMITED, limit=self._name)
        quota = f"{self._quota.units} units in {self._quota.window_s} seconds"
        return RateLimited(f"The key has used up its {quota} ({self._name}).", max(1, ceil(wait_s)))


class RateLimits(NamedTuple):
    """The limits of each key: for submits and for polls."""

    submits: KeyLimit
    polls: KeyLimit


class Charged(NamedTuple):
    """Against which limit a request counts, whose it is, and whether every answer shows it."""

    limit: KeyLimit
    key_id: str
    shown: bool

    def headers(self, status: int) -> list[Header]:
        """Make the headers for an answer with this status."""
        return self.limit.headers(self.key_id) if self.shown or status in (429, 503) else []


async def charge(scope: Any, limit: KeyLimit, key_id: str, shown: bool = False) -> None:
    """Count a request, unless the fast path has, and let its answer show what is left. Raises RateLimited."""
    scope[CHARGED] = Charged(limit, key_id, shown)
    if not scope.pop(PAID, False):
        await limit.spend(key_id)


async def charge_more(scope: Any, units: int, paid: int = 1) -> None:
    """Count a request as so many units, of which some are paid; once refused, as none. Raises RateLimited."""
    charged: Charged = scope[CHARGED]
    charged.limit.owe(charged.key_id, -paid)
    await charged.limit.spend(charged.key_id, units)
