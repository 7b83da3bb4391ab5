"""The way out for webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sluice.core.webhook import Answer


class WebhookSender(Protocol):
    """Sends webhooks to public addresses, and to networks that the operator allows."""

    async def check(self, url: str) -> None:
        """Raise Refused unless a webhook may go there now."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post it once, within seconds, following no redirect. Raises nothing: whatever comes of it is an answer."""
