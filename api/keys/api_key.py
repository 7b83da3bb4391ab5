"""The form of an API key: `slc_<id>_<secret>_<crc>`.

The prefix is for secret scanners; the checksum catches typing errors without a look-up. The record keeps an HMAC of the
secret, whose key (the pepper) is not in the database.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from typing import NamedTuple
from zlib import crc32

from sluice.core.access import NewApiKey
from sluice.core.peppers import pepper_id

ID_LENGTH, SECRET_LENGTH = 12, 32

_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rb"slc_([A-Za-z0-9]{12})_([A-Za-z0-9]{32})_([0-9a-f]{8})")


class ApiKey(NamedTuple):
    """The parts of a key, and the header that it is usually sent in; `secret` must never be stored or logged."""

    key_id: str
    secret: bytes
    authorization: bytes


def make_key() -> str:
    """Make a new key with 190 random bits."""
    key_id, secret = _random_text(ID_LENGTH), _random_text(SECRET_LENGTH)
    head = f"slc_{key_id}_{secret}"
    return f"{head}_{crc32(head.encode()):08x}"


def parse_key(key: bytes) -> ApiKey | None:
    """Split a key into its parts, or return None if it cannot be one."""
    match = _KEY.fullmatch(key)
    if match is None or crc32(key[:-9]) != int(match[3], 16):
        return None
    return ApiKey(match[1].decode(), match[2], b"Bearer " + key)


def hash_secret(secret: bytes, pepper: bytes) -> bytes:
    """Hash a secret as the record keeps it. A fast hash is right for secrets that are random."""
    return hmac.digest(pepper, secret, "sha256")


def make_new_key(
    pepper: bytes,
    tenant: str,
    scopes: frozenset[str],
    name: str | None = None,
    expires_days: int | None = None,
) -> tuple[NewApiKey, str]:
    """Make a key as it is stored, and its text."""
    text = make_key()
    key = parse_key(text.encode())
    assert key is not None  # noqa: S101  it was made a line ago
    hashed = hash_secret(key.secret, pepper)
    return NewApiKey(key.key_id, tenant, scopes, hashed, name, expires_days, pepper_id(pepper.decode())), text


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
