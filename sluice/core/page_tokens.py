"""Page tokens: where a page ended, signed for one tenant and one query.

A token holds nothing but an id and a signature (HMAC-SHA256): the query is sent again with it, and the signature shows
whether it is the same query.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from uuid import UUID

from sluice.core.errors import Malformed

_ID, _SEAL = 16, 16


def paging_key(pepper: str) -> bytes:
    """Derive the signing key, from which the pepper cannot be recovered."""
    return hmac.digest(pepper.encode(), b"page tokens", "sha256")


def seal(key: bytes, question: bytes, job_id: str) -> str:
    """Make the token of the page that continues below this id."""
    place = UUID(job_id).bytes
    sealed = hmac.digest(key, place + question, "sha256")[:_SEAL]
    return urlsafe_b64encode(place + sealed).rstrip(b"=").decode()


def unseal(keys: Iterable[bytes], question: bytes, token: str) -> str:
    """Return the id below which the page starts. Raises Malformed for a token that was not made for this query, with one of these keys."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        job_id = str(UUID(bytes=raw[:_ID]))
    except ValueError:
        raise Malformed("not a page token") from None
    seals = [seal(key, question, job_id) for key in keys]
    if not any(hmac.compare_digest(each, token) for each in seals):  # whole, as decoding is lenient
        raise Malformed("not a page token of this question")
    return job_id
