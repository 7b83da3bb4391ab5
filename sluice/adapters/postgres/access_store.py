"""A tenant's API keys in the record, managed by its administrators and by operators, and what these did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sluice.adapters.postgres.store import Store
from sluice.core.access import MOST_KEYS, Actor, AuditEntry, ListedKey, NewApiKey


class PostgresAccessStore(Store):
    """Implements sluice.core.ports.AccessStore, where its methods are described."""

    async def insert_api_key(self, new: NewApiKey, by: Actor) -> ListedKey | None:
        key_id, tenant, scopes, secret_hmac, name, days, pepper = new
        values = (key_id, tenant, sorted(scopes), secret_hmac, name, days, MOST_KEYS, *by, pepper)
        return _first(await self._commit("insert_api_key", *values))

    async def page_api_keys(self, tenant: str, behind: str, limit: int) -> list[ListedKey]:
        return [ListedKey._make(row) for row in await self.ask("page_api_keys", tenant, behind, limit)]

    async def show_api_key(self, tenant: str, key_id: str) -> ListedKey | None:
        return _first(await self.ask("show_api_key", tenant, key_id))

    async def rotate_api_key(
        self, old_id: str, new: NewApiKey, overlap_s: float, by: Actor
    ) -> tuple[ListedKey, datetime] | None:
        values = (
            new.tenant,
            old_id,
            new.key_id,
            new.secret_hmac,
            overlap_s,
            sorted(new.scopes),
            MOST_KEYS,
            *by,
            new.pepper_id,
        )
        rows = await self._commit("rotate_api_key", *values)
        return (ListedKey(*rows[0][:-1]), rows[0]["old_ends_at"]) if rows else None

    async def revoke_api_key(self, tenant: str, key_id: str, by: Actor, even_last: bool = False) -> bool:
        return bool(await self._commit("revoke_api_key", tenant, key_id, even_last, *by))

    async def list_audit(self, tenant: str, below: int, limit: int) -> list[AuditEntry]:
        return [AuditEntry._make(row) for row in await self.ask("list_audit", tenant, below, limit)]

    async def _commit(self, query: str, *args: Any) -> list[Any]:
        return await self._database.commit(query, *args, budget_s=self._budget_s)


def _first(rows: Sequence[Any]) -> ListedKey | None:
    return ListedKey._make(rows[0]) if rows else None
