"""Canonical input, and the hash that finds equal work."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson


def canonical(value: Any) -> bytes:
    """Encode a JSON value in its one canonical form: keys sorted, no white space. This is what is stored and hashed."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def fingerprint(tenant: str, kind: str, version: int, canonical_input: bytes) -> bytes:
    """Hash to 32 bytes that two submits share only if they are the same work of the same tenant."""
    head = orjson.dumps([tenant, kind, version])
    return sha256(head + canonical_input).digest()
