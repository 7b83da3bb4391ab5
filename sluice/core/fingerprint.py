"""Canonical input, and the hash that finds equal work."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

LARGE = 1024 * 1024


def canonical(value: Any) -> bytes:
    """Encode a JSON value in its one canonical form: keys sorted, no white space. This is what is stored and hashed."""
    raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    # A copy of what is large: orjson's own bytes keep the room it made for escapes, up to sixteen times what they need.
    return raw if len(raw) <= LARGE else bytes(memoryview(raw))


def fingerprint(tenant: str, kind: str, version: int, canonical_input: bytes) -> bytes:
    """Hash to 32 bytes that two submits share only if they are the same work of the same tenant."""
    hashed = sha256(orjson.dumps([tenant, kind, version]))
    hashed.update(canonical_input)
    return hashed.digest()
