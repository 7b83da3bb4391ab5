"""The webhook that a submit names: it has to be one of its tenant. Those of submits at the same time are looked up together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sluice.core.errors import Flaw, Invalid
from sluice.core.ports import WebhookStore
from sluice.core.runtime.batching import Batcher
from sluice.core.runtime.telemetry import BatchSink, count_no_batch

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
UNKNOWN = Flaw(
    "/options/webhook",
    "unknown-webhook",
    "The tenant has no webhook with this id: GET /v1/webhooks lists them, POST registers one.",
)


class NamedWebhooks:
    """Knows which webhooks there are; without a store, there is none."""

    def __init__(self, store: WebhookStore | None = None, count: BatchSink = count_no_batch) -> None:
        self._store = store
        self._named: Batcher[tuple[str, str], bool] = Batcher("webhooks", self._find, count=count)

    async def check(self, tenant: str, webhook_id: str) -> None:
        """Raise Invalid unless the tenant has it; ServerAway, Overloaded."""
        if not _ID.fullmatch(webhook_id) or not await self._named.put((tenant, webhook_id)):
            raise Invalid([UNKNOWN])

    async def _find(self, named: Sequence[tuple[str, str]]) -> list[bool]:
        found = await self._store.find_named(set(named)) if self._store is not None else set()
        return [each in found for each in named]
