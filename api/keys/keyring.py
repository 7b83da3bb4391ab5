"""Verify API keys, and remember those that were verified recently."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from api.keys.api_key import ID_LENGTH, ApiKey, hash_secret, parse_key
from api.keys.failed_auth import FailedAuth
from sluice.core.errors import TRANSIENT
from sluice.core.peppers import Peppers, pepper_id
from sluice.core.ports import ApiKeyRecord, ApiKeyStore
from sluice.core.runtime.bounded_dict import BoundedDict
from sluice.errors import SluiceError

MOST_KEYS = 10_000
"""Verified keys, and refused ones, that are remembered."""
LONGEST = 256
"""Bytes of an Authorization header; a longer one holds no key."""
REFUSED_S = 5.0
"""Seconds for which a refused key is refused without asking the record again."""
AWAY_S = 5.0
"""Seconds for which a verified key is good without asking again while the record is away."""

_UNKNOWN = ApiKeyRecord("", "", frozenset(), bytes(32), False)
_ID = slice(len(b"Bearer slc_"), len(b"Bearer slc_") + ID_LENGTH)


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
    """A key that was verified, as it is usually sent, and until when it is good without asking the record."""

    authorization: bytes
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
        peppers: Peppers,
        fresh_s: float,
        stale_s: float,
        clock: Callable[[], float] = time.monotonic,
        failures: FailedAuth | None = None,
    ) -> None:
        self._keys = keys
        self._peppers = [each.encode() for each in peppers.all]
        self._pepper_id = pepper_id(peppers.present)
        self._fresh_s, self._stale_s, self._clock, self._failures = fresh_s, stale_s, clock, failures
        # By id, and by digest where anybody can make an entry: no entry is larger because a header was.
        self._verified: BoundedDict[bytes, VerifiedKey] = BoundedDict(MOST_KEYS)
        self._refused: BoundedDict[bytes, float] = BoundedDict(MOST_KEYS)
        self._by_id: BoundedDict[str, VerifiedKey] = BoundedDict(MOST_KEYS)
        self._lookups: dict[bytes, asyncio.Task[Identity]] = {}

    def __repr__(self) -> str:
        return f"<Keyring: {len(self._verified)} verified, {len(self._refused)} refused>"

    def find_verified(self, authorization: bytes, for_s: float = 0.0) -> Identity | None:
        """Return the identity of a key that is verified and fresh. This is all that the fast path pays for authentication."""
        found = self._find(authorization)
        if found is not None and self._clock() + for_s < found.fresh_until:
            return found.identity
        return None

    async def check(self, authorizations: Sequence[bytes], for_s: float = 0.0, peer: str = "") -> Identity:
        """Check all Authorization headers of a request, which is not checked again for so long.

        `peer` is the address that it comes from: once many came from there without a valid key, only keys that are known
        already are looked at. Raises Unauthorized, TooManyFailures, ServerAway, TryAgain.
        """
        if self._failures is None:
            return await self._check(authorizations, for_s)
        if len(authorizations) != 1 or not self._knows(authorizations[0]):
            self._failures.check(peer)
        try:
            return await self._check(authorizations, for_s)
        except Unauthorized:
            self._failures.count(peer)
            raise

    async def _check(self, authorizations: Sequence[bytes], for_s: float) -> Identity:
        if len(authorizations) != 1:
            raise Unauthorized("Send the Authorization header once." if authorizations else None)
        key = _read_bearer(authorizations[0])
        if key is None:
            raise _not_valid()
        return self.find_verified(key.authorization, for_s) or await self._join_lookup(key)

    def forget(self, key_id: str) -> None:
        """Ask the record again about this key; other processes do so once it is no longer fresh."""
        self._verified.pop(key_id.encode(), None)
        self._by_id.pop(key_id, None)

    async def check_id(self, key_id: str) -> Identity:
        """Check a key by its id alone, for somebody whose key was verified before: whether it is still good, and for what.

        Raises Unauthorized, ServerAway, TryAgain.
        """
        known, now = self._by_id.get(key_id), self._clock()
        if known is not None and now < known.fresh_until:
            return known.identity
        try:
            record = await self._keys.find_api_key(key_id, b"", None, self._pepper_id)
        except TRANSIENT:
            if known is None or now >= known.verified_at + self._stale_s:
                raise
            return known.identity
        if record is None or not record.usable:
            self._by_id.pop(key_id, None)
            raise _not_valid()
        identity = Identity(record.tenant, record.scopes, record.key_id)
        self._by_id[key_id] = VerifiedKey(b"", identity, now, now + self._fresh_s)
        return identity

    def _knows(self, authorization: bytes) -> bool:
        """Tell whether a key was verified before, however the client writes its scheme."""
        key = _read_bearer(authorization)
        return key is not None and self._find(key.authorization) is not None

    def _find(self, authorization: bytes) -> VerifiedKey | None:
        found = self._verified.get(authorization[_ID])
        if found is None or not hmac.compare_digest(found.authorization, authorization):
            return None
        return found

    async def _join_lookup(self, key: ApiKey) -> Identity:
        """Look a key up, once for all requests that bring it at the same time."""
        digest = sha256(key.authorization).digest()
        task = self._lookups.get(digest)
        if task is None:
            task = asyncio.create_task(self._look_up(key, digest), name="look-up-key")
            self._lookups[digest] = task
            task.add_done_callback(lambda done: self._end_lookup(digest, done))
        return await asyncio.shield(task)

    def _end_lookup(self, digest: bytes, task: asyncio.Task[Identity]) -> None:
        del self._lookups[digest]
        if not task.cancelled():
            task.exception()  # if every request has left, nobody else retrieves the error

    async def _look_up(self, key: ApiKey, digest: bytes) -> Identity:
        now = self._clock()
        if now - self._refused.get(digest, -REFUSED_S) < REFUSED_S:
            raise _not_valid()
        try:
            hashes = [hash_secret(key.secret, each) for each in self._peppers]
            other = hashes[1] if len(hashes) > 1 else None
            record = await self._keys.find_api_key(key.key_id, hashes[0], other, self._pepper_id)
        except TRANSIENT as error:
            return self._use_stale(key, now, error)
        return self._verify(key, digest, hashes, record or _UNKNOWN, now)

    def _verify(
        self, key: ApiKey, digest: bytes, hashes: Sequence[bytes], record: ApiKeyRecord, now: float
    ) -> Identity:
        """Compare secrets, also for unknown ids, so that these take as long as wrong secrets."""
        same = [hmac.compare_digest(record.secret_hmac, each) for each in hashes]  # all, whichever it is
        if not (any(same) and record.usable):
            if self._find(key.authorization):
                del self._verified[key.authorization[_ID]]
            self._refused[digest] = now
            raise _not_valid()
        identity = Identity(record.tenant, record.scopes, record.key_id)
        self._remember(VerifiedKey(key.authorization, identity, now, now + self._fresh_s))
        return identity

    def _use_stale(self, key: ApiKey, now: float, error: SluiceError) -> Identity:
        """Accept a key that was verified before the record went away. Raises this error if it was not."""
        found = self._find(key.authorization)
        if found is None or now >= found.verified_at + self._stale_s:
            raise error
        fresh_until = min(now + AWAY_S, found.verified_at + self._stale_s)
        self._remember(found._replace(fresh_until=fresh_until))
        return found.identity

    def _remember(self, key: VerifiedKey) -> None:
        self._verified[key.authorization[_ID]] = key


def _read_bearer(authorization: bytes) -> ApiKey | None:
    if len(authorization) > LONGEST:
        return None
    scheme, _, credentials = authorization.partition(b" ")
    return parse_key(credentials.strip()) if scheme.lower() == b"bearer" else None


def _not_valid() -> Unauthorized:
    return Unauthorized("The key is not valid.", given=True)
