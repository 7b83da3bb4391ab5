"""Page tokens: where a page ended, under a seal that holds for one tenant and one question only.

A token holds nothing but an id: the question itself is sent again with it, and the seal says whether it is the same.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from sluice.core.errors import Malformed

_ID, _SEAL = 16, 16


def paging_key(pepper: str) -> bytes:
    """The key of all seals, which tells nothing of the pepper."""
    return hmac.digest(pepper.encode(), b"page tokens", "sha256")


def seal(key: bytes, question: bytes, job_id: str) -> str:
    """The token that goes on below this id."""
    place = UUID(job_id).bytes
    sealed = hmac.digest(key, place + question, "sha256")[:_SEAL]
    return urlsafe_b64encode(place + sealed).rstrip(b"=").decode()


def unseal(key: bytes, question: bytes, token: str) -> str:
    """The id below which the page begins. Raises Malformed for a token that was not made for this question."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        job_id = str(UUID(bytes=raw[:_ID]))
    except ValueError:
        raise Malformed("not a page token") from None
    if not hmac.compare_digest(seal(key, question, job_id), token):  # whole, as decoding is lenient
        raise Malformed("not a page token of this question")
    return job_id
