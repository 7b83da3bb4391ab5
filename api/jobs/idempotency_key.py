"""The Idempotency-Key of a submit: read it, and compare the request with the first one that used it.

draft-ietf-httpapi-idempotency-key-header: the same key with the same request answers with the same job.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from starlette.requests import Request

from api.http.errors import BadHeader
from api.http.request import header_values
from sluice.core.strict_json import Raw

_KEY = re.compile(rb'"([\x20\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e][\x21-\x7e]{0,254})')


class IdempotencyKey(NamedTuple):
    """An Idempotency-Key, and the hash of the request it came with."""

    key: str
    request_hash: bytes


def read_idempotency_key(request: Request, body: Raw) -> IdempotencyKey | None:
    """Read the Idempotency-Key, quoted or bare, and hash method, path and body. Raises BadHeader."""
    values = header_values(request, b"idempotency-key")
    if not values:
        return None
    if len(values) > 1:
        raise BadHeader("Send Idempotency-Key once.")
    match = _KEY.fullmatch(values[0])
    if match is None:
        raise BadHeader("Idempotency-Key is 1 to 255 visible ASCII characters, quoted or bare.")
    line = f"{request.method} {request.scope['path']}\n".encode()
    hashed = sha256(line)
    hashed.update(body)
    return IdempotencyKey((match[1] or match[2]).decode(), hashed.digest())
