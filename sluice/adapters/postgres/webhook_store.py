"""Webhook endpoints and deliveries in the record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sluice.adapters.postgres.store import Store
from sluice.core.access import Actor
from sluice.core.webhook import (
    DISABLED_AFTER_S,
    GONE,
    MOST_ENDPOINTS,
    MOST_VERIFICATIONS,
    Answer,
    DueDelivery,
    Endpoint,
    Try,
    Verification,
)

MOST_AGAIN = 10_000
"""Deliveries that one request sends again."""
HOUR_S = 3_600.0


class PostgresWebhookStore(Store):
    """Implements sluice.core.ports.WebhookStore, where its methods are described."""

    async def add_endpoint(
        self,
        tenant: str,
        url: str,
        asks: Sequence[Sequence[str]],
        by: Actor,
        pepper_id: str | None = None,
        verification: Verification | None = None,
    ) -> Endpoint | None:
        values = (
            tenant,
            url,
            *map(list, asks),
            MOST_ENDPOINTS,
            *by,
            pepper_id,
            verification and verification.body,
        )
        return _first(await self._commit("add_endpoint", *values))

    async def list_endpoints(self, tenant: str) -> list[Endpoint]:
        return [Endpoint._make(row) for row in await self.ask("list_endpoints", tenant)]

    async def find_endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        return _first(await self.ask("find_endpoint", tenant, endpoint_id))

    async def find_named(self, named: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        return {(tenant, each) for tenant, each in await self.ask("find_named", *zip(*named, strict=True))}

    async def replace_endpoint(
        self,
        tenant: str,
        endpoint_id: str,
        url: str,
        asks: Sequence[Sequence[str]],
        by: Actor,
        verification: Verification | None = None,
    ) -> Endpoint | None:
        values = (tenant, endpoint_id, url, *map(list, asks), *by, *(verification or (None, False)))
        return _first(await self._commit("replace_endpoint", *values))

    async def verify_endpoint(self, tenant: str, endpoint_id: str, body: bytes, by: Actor) -> str | None:
        rows = await self._commit("verify_endpoint", tenant, endpoint_id, body, *by)
        return str(rows[0][0]) if rows else None

    async def count_verification(self, tenant: str) -> bool:
        return bool(await self._commit("count_verification", tenant, MOST_VERIFICATIONS, HOUR_S))

    async def rotate_secret(
        self, tenant: str, endpoint_id: str, overlap_s: float, by: Actor, pepper_id: str | None = None
    ) -> Endpoint | None:
        return _first(await self._commit("rotate_secret", tenant, endpoint_id, overlap_s, *by, pepper_id))

    async def delete_endpoint(self, tenant: str, endpoint_id: str, by: Actor) -> bool:
        return bool(await self._commit("delete_endpoint", tenant, endpoint_id, *by))

    async def add_test(self, tenant: str, endpoint_id: str, body: bytes, by: Actor) -> str | None:
        rows = await self._commit("add_test", tenant, endpoint_id, body, *by)
        return str(rows[0][0]) if rows else None

    async def list_tries(self, tenant: str, endpoint_id: str, behind: str, limit: int) -> list[Try]:
        last = UUID(behind) if behind else None
        return [Try._make(row) for row in await self.ask("list_tries", tenant, endpoint_id, last, limit)]

    async def redeliver(
        self, tenant: str, endpoint_id: str, delivery_id: str | None, since: datetime | None, by: Actor
    ) -> int | None:
        one = UUID(delivery_id) if delivery_id else None
        rows = await self._commit("redeliver", tenant, endpoint_id, one, since, MOST_AGAIN, *by)
        return int(rows[0][0]) if rows else None

    async def take_due(self, limit: int, lease_s: float) -> list[DueDelivery]:
        return [DueDelivery._make(row) for row in await self.ask("take_due", limit, lease_s)]

    async def mark(self, delivery: DueDelivery, answer: Answer, pause_s: float | None) -> str | None:
        gone = answer.status == GONE
        rows = await self.ask(
            "mark", delivery.id, delivery.tries, answer.delivered, pause_s, answer.status, answer.outcome, answer.body,
            DISABLED_AFTER_S, gone, delivery.endpoint, delivery.url,
        )  # fmt: skip
        return str(rows[0][0]) if rows else None

    async def give_up(self, limit: int) -> int:
        return len(await self.ask("give_up", limit))

    async def prune_deliveries(self, keep_s: float, limit: int) -> int:
        return len(await self.ask("prune_deliveries", keep_s, limit))

    async def _commit(self, query: str, *args: Any) -> list[Any]:
        return await self._database.commit(query, *args, budget_s=self._budget_s)


def _first(rows: Sequence[Any]) -> Endpoint | None:
    return Endpoint._make(rows[0]) if rows else None
