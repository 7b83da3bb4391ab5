"""Manage a tenant's webhooks: where they go, their secrets, and what came of what was sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from api.webhooks.schemas import RedeliverRequest, WebhookRequest
from sluice.core.access import Actor
from sluice.core.errors import (
    Flaw,
    Invalid,
    TooManyVerifications,
    TooManyWebhooks,
    WebhookDisabled,
    WebhookUnknown,
)
from sluice.core.peppers import pepper_id
from sluice.core.ports import WebhookSender, WebhookStore
from sluice.core.webhook import (
    Endpoint,
    Try,
    Verification,
    make_secret,
    show_secret,
    write_test,
    write_verification,
)
from sluice.core.webhook_url import Refused

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
NO_TOKEN = [Flaw("?page_token", "page-token", "page_token is the `next_page_token` of a page.")]


class MadeWebhook(NamedTuple):
    """An endpoint, and its newest secret."""

    endpoint: Endpoint
    secret: str


class Webhooks:
    """Methods that name an endpoint raise WebhookUnknown, also for those of other tenants; all raise ServerAway, changes OutcomeUnknown.

    `verify_all`: every new URL has to be verified, not only those for which that is asked.
    """

    def __init__(
        self, store: WebhookStore, sender: WebhookSender, pepper: str, verify_all: bool = False
    ) -> None:
        self._store, self._sender, self._pepper = store, sender, pepper
        self._verify_all = verify_all
        self._pepper_id = pepper_id(pepper)

    async def create(self, tenant: str, request: WebhookRequest, by: Actor) -> MadeWebhook:
        """Add an endpoint. Raises Invalid, TooManyWebhooks, TooManyVerifications."""
        await self._check(request.url)
        verify = request.verify or self._verify_all
        asking = await self._begin_verification(tenant) if verify else None
        made = await self._store.add_endpoint(tenant, request.url, request.asks, by, self._pepper_id, asking)
        if made is None:
            raise TooManyWebhooks
        return self._show_secret(made)

    async def all(self, tenant: str) -> list[Endpoint]:
        """List all, oldest first."""
        return await self._store.list_endpoints(tenant)

    async def find(self, tenant: str, webhook_id: str) -> Endpoint:
        """Find one."""
        found = await self._store.find_endpoint(tenant, webhook_id) if _ID.fullmatch(webhook_id) else None
        return _known(found)

    async def replace(
        self, tenant: str, webhook_id: str, read: Callable[[], WebhookRequest], by: Actor
    ) -> Endpoint:
        """Replace it, but not its secret; one that was disabled goes on, unless it is to be verified. Raises Invalid, TooManyVerifications."""
        found = await self.find(tenant, webhook_id)
        request = read()
        await self._check(request.url)
        asking = await self._ask_anew(tenant, found, request)
        return _known(
            await self._store.replace_endpoint(tenant, webhook_id, request.url, request.asks, by, asking)
        )

    async def rotate(self, tenant: str, webhook_id: str, overlap_s: float, by: Actor) -> MadeWebhook:
        """Begin its next secret."""
        await self.find(tenant, webhook_id)
        rotated = await self._store.rotate_secret(tenant, webhook_id, overlap_s, by, self._pepper_id)
        return self._show_secret(_known(rotated))

    async def delete(self, tenant: str, webhook_id: str, by: Actor) -> None:
        """Delete it; what was to be sent is given up."""
        await self.find(tenant, webhook_id)
        await self._store.delete_endpoint(tenant, webhook_id, by)

    async def test(self, tenant: str, webhook_id: str, by: Actor) -> str:
        """Send something that tells of no job; returns the id of the delivery. Raises WebhookDisabled."""
        await self.find(tenant, webhook_id)
        made = await self._store.add_test(tenant, webhook_id, write_test(datetime.now(UTC)), by)
        if made is None:
            raise WebhookDisabled
        return made

    async def verify(self, tenant: str, webhook_id: str, by: Actor) -> str:
        """Ask it to prove that it wants what is sent; returns the id of the delivery that asks. Raises TooManyVerifications."""
        await self.find(tenant, webhook_id)
        asking = await self._begin_verification(tenant)
        asked = await self._store.verify_endpoint(tenant, webhook_id, asking.body, by)
        if asked is None:
            raise WebhookUnknown
        return asked

    async def tries(self, tenant: str, webhook_id: str, size: int, token: str) -> tuple[list[Try], bool]:
        """List what was sent, newest first, and say whether there is more. Raises Invalid."""
        await self.find(tenant, webhook_id)
        if token and not _ID.fullmatch(token):
            raise Invalid(NO_TOKEN)
        found = await self._store.list_tries(tenant, webhook_id, token, size + 1)
        return found[:size], len(found) > size

    async def redeliver(
        self, tenant: str, webhook_id: str, read: Callable[[], RedeliverRequest], by: Actor
    ) -> int:
        """Send again, one delivery or those that failed; returns how many. Raises Invalid, WebhookDisabled."""
        await self.find(tenant, webhook_id)
        request = read()
        if request.delivery is not None and not _ID.fullmatch(request.delivery):
            return 0
        sent = await self._store.redeliver(tenant, webhook_id, request.delivery, request.since, by)
        if sent is None:
            raise WebhookDisabled
        return sent

    async def _ask_anew(self, tenant: str, found: Endpoint, request: WebhookRequest) -> Verification | None:
        """Write what asks an endpoint that is replaced to prove itself, if it may have to."""
        if not (request.verify or self._verify_all):
            return None
        if (
            found.verified_at is not None and found.url == request.url
        ):  # whoever changes it meanwhile has paid
            asking = Verification(write_verification(datetime.now(UTC)))
        else:
            asking = await self._begin_verification(tenant)
        return asking._replace(only_new=not request.verify)

    async def _begin_verification(self, tenant: str) -> Verification:
        """Write what asks an endpoint to prove itself. Raises TooManyVerifications."""
        if not await self._store.count_verification(tenant):
            raise TooManyVerifications
        return Verification(write_verification(datetime.now(UTC)))

    async def _check(self, url: str) -> None:
        try:
            await self._sender.check(url)
        except Refused as error:
            raise Invalid([Flaw("/url", "url-refused", str(error))]) from None

    def _show_secret(self, made: Endpoint) -> MadeWebhook:
        return MadeWebhook(made, show_secret(make_secret(self._pepper, made.id, made.generation)))


def _known(found: Endpoint | None) -> Endpoint:
    if found is None:
        raise WebhookUnknown
    return found
