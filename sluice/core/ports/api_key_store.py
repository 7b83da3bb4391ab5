"""API keys in the record."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class ApiKeyRecord(NamedTuple):
    """An API key as stored: never the secret, only its HMAC-SHA256. `lasts_s` is the seconds to its end; None: it has none."""

    key_id: str
    tenant: str
    scopes: frozenset[str]
    secret_hmac: bytes
    usable: bool
    lasts_s: float | None = None


class ApiKeyStore(Protocol):
    """API keys in the record."""

    async def find_api_key(
        self, key_id: str, secret_hmac: bytes, other_hmac: bytes | None = None, pepper_id: str | None = None
    ) -> ApiKeyRecord | None:
        """Find the key with this id, usable or not, as it was before. If it is, and its secret is this one, it is in use.

        If its secret is hashed as `other_hmac`, by another pepper, it is kept as `secret_hmac` from now on, by the pepper with this id.
        """
