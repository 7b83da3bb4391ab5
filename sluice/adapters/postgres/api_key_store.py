"""API keys in the record: requests look them up, the command creates and revokes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sluice.adapters.postgres.store import Store
from sluice.core.ports import ApiKeyRecord


class KeyLine(NamedTuple):
    """A key as the command lists it."""

    key_id: str
    tenant: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class PostgresApiKeyStore(Store):
    """Implements sluice.core.ports.ApiKeyStore, where its methods are described."""

    async def find_api_key(self, key_id: str) -> ApiKeyRecord | None:
        rows = await self.ask("find_api_key", key_id)
        if not rows:
            return None
        found_id, tenant, scopes, secret_hmac, usable = rows[0]
        return ApiKeyRecord(found_id, tenant, frozenset(scopes), secret_hmac, usable)

    async def insert_api_key(self, record: ApiKeyRecord, expires_days: int | None) -> None:
        """Store a new key."""
        key_id, tenant, scopes, secret_hmac, _ = record
        await self.ask("insert_api_key", key_id, tenant, sorted(scopes), secret_hmac, expires_days)

    async def list_api_keys(self) -> Iterable[KeyLine]:
        """List every key, newest first."""
        return [KeyLine._make(row) for row in await self.ask("list_api_keys")]

    async def revoke_api_key(self, key_id: str) -> bool:
        """Refuse this key from now on. False if there is none with this id."""
        return bool(await self.ask("revoke_api_key", key_id))
