"""Verify API keys, and remember those that were verified recently."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from api.keys.api_key import ApiKey, hash_secret, parse_key
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.ports import ApiKeyRecord, ApiKeyStore
from sluice.core.runtime.bounded_dict import BoundedDict
from sluice.errors import SluiceError

MOST_KEYS = 10_000
"""Verified keys, and refused ones, that are remembered."""
REFUSED_S = 5.0
"""Seconds for which a refused key is refused without asking the record again."""
AWAY_S = 5.0
"""Seconds for which a verified key is good without asking again while the record is away."""

_UNKNOWN = ApiKeyRecord("", "", frozenset(), bytes(32), False)


class Unauthorized(SluiceError):
    """A key is needed: Authorization: Bearer slc_…"""

    def __init__(self, message: str | None = None, given: bool = False) -> None:
        super().__init__(message)
        self.given = given


class Identity(NamedTuple):
    """Whose key a request came with, and what it permits."""

    tenant: str
    scopes: frozenset[str]
    key_id: str


class VerifiedKey(NamedTuple):
    """A key that was verified, and until when it is good without asking the record."""

    identity: Identity
    verified_at: float
    fresh_until: float


class Keyring:
    """Says whose key a request came with.

    A verified key is good for `fresh_s` without asking the record, so a revoked one ends within that time;
    while the record is away it stays good for `stale_s`.
    """

    def __init__(
        self,
        keys: ApiKeyStore,
        pepper: str,
        fresh_s: float,
        stale_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._pepper = pepper.encode()
        self._fresh_s, self._stale_s, self._clock = fresh_s, stale_s, clock
        self._verified: BoundedDict[bytes, VerifiedKey] = BoundedDict(MOST_KEYS)
        self._refused: BoundedDict[bytes, float] = BoundedDict(MOST_KEYS)
        self._lookups: dict[bytes, asyncio.Task[Identity]] = {}

    def __repr__(self) -> str:
        return f"<Keyring: {len(self._verified)} verified, {len(self._refused)} refused>"

    def find_verified(self, authorization: bytes) -> Identity | None:
        """Return the identity of a key that is verified and fresh. This is all that the fast path pays for authentication."""
        found = self._verified.get(authorization)
        if found is not None and self._clock() < found.fresh_until:
            return found.identity
        return None

    async def check(self, authorizations: Sequence[bytes]) -> Identity:
        """Check all Authorization headers of a request. Raises Unauthorized, ServerAway, TryAgain."""
        if len(authorizations) != 1:
            raise Unauthorized("Send the Authorization header once." if authorizations else None)
        authorization = authorizations[0]
        return self.find_verified(authorization) or await self._join_lookup(authorization)

    async def _join_lookup(self, authorization: bytes) -> Identity:
        """Look a key up, once for all requests that bring it at the same time."""
        task = self._lookups.get(authorization)
        if task is None:
            task = asyncio.create_task(self._look_up(authorization), name="look-up-key")
            self._lookups[authorization] = task
            task.add_done_callback(lambda done: self._end_lookup(authorization, done))
        return await asyncio.shield(task)

    def _end_lookup(self, authorization: bytes, task: asyncio.Task[Identity]) -> None:
        del self._lookups[authorization]
        if not task.cancelled():
            task.exception()  # if every request has left, nobody else retrieves the error

    async def _look_up(self, authorization: bytes) -> Identity:
        now = self._clock()
        if now - self._refused.get(authorization, -REFUSED_S) < REFUSED_S:
            raise _not_valid()
        key = _read_bearer(authorization)
        if key is None:
            raise _not_valid()
        try:
            record = await self._keys.find_api_key(key.key_id)
        except (ServerAway, TryAgain):
            return self._use_stale(authorization, now)
        return self._verify(authorization, key, record or _UNKNOWN, now)

    def _verify(self, authorization: bytes, key: ApiKey, record: ApiKeyRecord, now: float) -> Identity:
        """Compare secrets, also for unknown ids, so that these take as long as wrong secrets."""
        same = hmac.compare_digest(record.secret_hmac, hash_secret(key.secret, self._pepper))
        if not (same and record.usable):
            self._verified.pop(authorization, None)
            self._refused[authorization] = now
            raise _not_valid()
        identity = Identity(record.tenant, record.scopes, record.key_id)
        self._verified[authorization] = VerifiedKey(identity, now, now + self._fresh_s)
        return identity

    def _use_stale(self, authorization: bytes, now: float) -> Identity:
        """Accept a key that was verified before the record went away. Raises ServerAway if there is none."""
        found = self._verified.get(authorization)
        if found is None or now >= found.verified_at + self._stale_s:
            raise ServerAway("postgresql")
        fresh_until = min(now + AWAY_S, found.verified_at + self._stale_s)
        self._verified[authorization] = found._replace(fresh_until=fresh_until)
        return found.identity


def _read_bearer(authorization: bytes) -> ApiKey | None:
    scheme, _, credentials = authorization.partition(b" ")
    return parse_key(credentials.strip()) if scheme.lower() == b"bearer" else None


def _not_valid() -> Unauthorized:
    return Unauthorized("The key is not valid.", given=True)
