"""API keys: their form, and the ring of keys that were verified lately.

`slc_<id>_<secret>_<crc>`: the prefix is for secret scanners, the checksum refuses typing errors without a look-up.
The record keeps an HMAC of the secret, whose key (the pepper) is not in the database.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import string
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from zlib import crc32

from api.http.errors import Unauthorized
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.ports import ApiKeyRecord, ApiKeyStore

V = TypeVar("V")

ID_LENGTH, SECRET_LENGTH = 12, 32
KNOWN_LIMIT = 10_000
REFUSED_S = 5.0
"""Seconds for which a refused key is refused without asking the record again."""
AWAY_S = 5.0
"""Seconds for which a known key is good without asking again while the record is away."""

_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rb"slc_([A-Za-z0-9]{12})_([A-Za-z0-9]{32})_([0-9a-f]{8})")
_NOBODY = ApiKeyRecord("", "", frozenset(), bytes(32), False)


class Key(NamedTuple):
    """The parts of a key; `secret` must never be stored or logged."""

    key_id: str
    secret: bytes


class Identity(NamedTuple):
    """Who asks, and what for they may."""

    tenant: str
    scopes: frozenset[str]
    key_id: str


class Known(NamedTuple):
    """A key that was verified, and how long it is good without asking."""

    identity: Identity
    verified_at: float
    fresh_until: float


def make_key() -> str:
    """A new key with 190 random bits."""
    key_id, secret = _random(ID_LENGTH), _random(SECRET_LENGTH)
    head = f"slc_{key_id}_{secret}"
    return f"{head}_{crc32(head.encode()):08x}"


def parse_key(key: bytes) -> Key | None:
    """The parts of a key, or None where it cannot be one."""
    match = _KEY.fullmatch(key)
    if match is None or crc32(key[:-9]) != int(match[3], 16):
        return None
    return Key(match[1].decode(), match[2])


def hash_secret(secret: bytes, pepper: bytes) -> bytes:
    """What the record keeps of a secret. A fast hash is right for secrets that are random."""
    return hmac.digest(pepper, secret, "sha256")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Keyring:
    """Says who asks.

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
        self._known: dict[bytes, Known] = {}
        self._refused: dict[bytes, float] = {}
        self._asking: dict[bytes, asyncio.Task[Identity]] = {}

    def __repr__(self) -> str:
        return f"<Keyring: {len(self._known)} known, {len(self._refused)} refused>"

    def known(self, authorization: bytes) -> Identity | None:
        """Who asks, where process memory can tell: this is all that the fastest way in pays for authentication."""
        found = self._known.get(authorization)
        if found is not None and self._clock() < found.fresh_until:
            return found.identity
        return None

    async def check(self, authorizations: Sequence[bytes]) -> Identity:
        """Who asks, given every Authorization header of a request. Raises Unauthorized, ServerAway, TryAgain."""
        if len(authorizations) != 1:
            raise Unauthorized("Send the Authorization header once." if authorizations else None)
        authorization = authorizations[0]
        return self.known(authorization) or await self._ask_once(authorization)

    async def _ask_once(self, authorization: bytes) -> Identity:
        """Requests that come with the same key at the same time share one look-up."""
        task = self._asking.get(authorization)
        if task is None:
            task = asyncio.create_task(self._ask(authorization), name="ask-key")
            self._asking[authorization] = task
            task.add_done_callback(lambda done: self._answered(authorization, done))
        return await asyncio.shield(task)

    def _answered(self, authorization: bytes, task: asyncio.Task[Identity]) -> None:
        del self._asking[authorization]
        if not task.cancelled():
            task.exception()  # where every asker has left, nobody else takes the error

    async def _ask(self, authorization: bytes) -> Identity:
        now = self._clock()
        if now - self._refused.get(authorization, -REFUSED_S) < REFUSED_S:
            raise _refusal()
        key = _bearer(authorization)
        if key is None:
            raise _refusal()
        try:
            record = await self._keys.find_api_key(key.key_id)
        except (ServerAway, TryAgain):
            return self._remembered(authorization, now)
        return self._judged(authorization, key, record or _NOBODY, now)

    def _judged(self, authorization: bytes, key: Key, record: ApiKeyRecord, now: float) -> Identity:
        """Unknown ids are compared as well, so that they take as long as wrong secrets."""
        same = hmac.compare_digest(record.secret_hmac, hash_secret(key.secret, self._pepper))
        if not (same and record.usable):
            self._known.pop(authorization, None)
            _keep(self._refused, authorization, now)
            raise _refusal()
        identity = Identity(record.tenant, record.scopes, record.key_id)
        _keep(self._known, authorization, Known(identity, now, now + self._fresh_s))
        return identity

    def _remembered(self, authorization: bytes, now: float) -> Identity:
        found = self._known.get(authorization)
        if found is None or now >= found.verified_at + self._stale_s:
            raise ServerAway("postgresql")
        fresh_until = min(now + AWAY_S, found.verified_at + self._stale_s)
        self._known[authorization] = found._replace(fresh_until=fresh_until)
        return found.identity


def _bearer(authorization: bytes) -> Key | None:
    scheme, _, credentials = authorization.partition(b" ")
    return parse_key(credentials.strip()) if scheme.lower() == b"bearer" else None


def _refusal() -> Unauthorized:
    return Unauthorized("The key is not valid.", given=True)


def _keep(memory: dict[bytes, V], key: bytes, value: V) -> None:
    """Put it last; the oldest makes room."""
    memory.pop(key, None)
    while len(memory) >= KNOWN_LIMIT:
        del memory[next(iter(memory))]
    memory[key] = value
