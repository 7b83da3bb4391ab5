"""API keys in the record: requests look them up, the command creates and revokes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sluice.adapters.postgres.pool import Database
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


class PostgresApiKeyStore:
    """Implements sluice.core.ports.ApiKeyStore."""

    def __init__(self, database: Database, budget_s: float) -> None:
        self._database = database
        self._budget_s = budget_s

    async def find_api_key(self, key_id: str) -> ApiKeyRecord | None:
        """Find the key with this id, usable or not. Raises ServerAway, TryAgain."""
        rows = await self._database.fetch("find_api_key", key_id, budget_s=self._budget_s)
        if not rows:
            return None
        found_id, tenant, scopes, secret_hmac, usable = rows[0]
        return ApiKeyRecord(found_id, tenant, frozenset(scopes), secret_hmac, usable)

    async def insert_api_key(self, record: ApiKeyRecord, expires_days: int | None) -> None:
        """Store a new key."""
        await self._database.fetch(
            "insert_api_key",
            record.key_id,
            record.tenant,
            sorted(record.scopes),
            record.secret_hmac,
            expires_days,
            budget_s=self._budget_s,
        )

    async def list_api_keys(self) -> Iterable[KeyLine]:
        """List every key, newest first."""
        rows = await self._database.fetch("list_api_keys", budget_s=self._budget_s)
        return [KeyLine._make(row) for row in rows]

    async def revoke_api_key(self, key_id: str) -> bool:
        """Refuse this key from now on. False if there is none with this id."""
        return bool(await self._database.fetch("revoke_api_key", key_id, budget_s=self._budget_s))
