"""API keys in the record: requests look them up, and the command lists those of all tenants."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.adapters.postgres.store import Store
from sluice.core.access import ListedKey, PepperUse
from sluice.core.ports import ApiKeyRecord


class PostgresApiKeyStore(Store):
    """Implements sluice.core.ports.ApiKeyStore, where its methods are described."""

    async def find_api_key(
        self, key_id: str, secret_hmac: bytes, other_hmac: bytes | None = None, pepper_id: str | None = None
    ) -> ApiKeyRecord | None:
        rows = await self.ask("find_api_key", key_id, secret_hmac, other_hmac, pepper_id)
        if not rows:
            return None
        found_id, tenant, scopes, stored, usable, lasts_s = rows[0]
        return ApiKeyRecord(found_id, tenant, frozenset(scopes), stored, usable, lasts_s)

    async def list_api_keys(self) -> Iterable[ListedKey]:
        """List every key, newest first."""
        return [ListedKey._make(row) for row in await self.ask("list_api_keys")]

    async def count_peppers(self) -> list[PepperUse]:
        """Count what hangs on each pepper."""
        return [PepperUse._make(row) for row in await self.ask("count_peppers")]
