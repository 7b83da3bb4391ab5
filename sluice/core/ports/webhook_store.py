"""Webhook endpoints and deliveries in the record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from sluice.core.access import Actor
from sluice.core.webhook import Answer, DueDelivery, Endpoint, Try, Verification


class WebhookStore(Protocol):
    """A tenant's endpoints, and what is sent to them. Each change by somebody is written down by the statement that makes it."""

    async def add_endpoint(
        self,
        tenant: str,
        url: str,
        asks: Sequence[Sequence[str]],
        by: Actor,
        pepper_id: str | None = None,
        verification: Verification | None = None,
    ) -> Endpoint | None:
        """Add an endpoint for these events, kinds and tags, its secret by this pepper; None if the tenant has as many as it may.

        With a `verification` it is disabled, and that is sent to it, until it has proved that it wants more.
        """

    async def list_endpoints(self, tenant: str) -> list[Endpoint]:
        """List the endpoints of a tenant, oldest first."""

    async def find_endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """Find one of a tenant."""

    async def find_named(self, named: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Find which of these, each by its tenant and its id, are there. The id is a UUID."""

    async def replace_endpoint(
        self,
        tenant: str,
        endpoint_id: str,
        url: str,
        asks: Sequence[Sequence[str]],
        by: Actor,
        verification: Verification | None = None,
    ) -> Endpoint | None:
        """Replace what it is, but not its secret; one that was disabled goes on. None: it is not there.

        With a `verification` it does not unless this URL is verified.
        """

    async def verify_endpoint(self, tenant: str, endpoint_id: str, body: bytes, by: Actor) -> str | None:
        """Ask it to prove that it wants what is sent, also if it is disabled: it goes on then. Returns the id of the delivery; None: it is not there."""

    async def count_verification(self, tenant: str) -> bool:
        """Count a verification that a tenant asks for; false if it has asked for as many as it may in an hour."""

    async def rotate_secret(
        self, tenant: str, endpoint_id: str, overlap_s: float, by: Actor, pepper_id: str | None = None
    ) -> Endpoint | None:
        """Begin its next secret, by this pepper; the one before signs as well for so many seconds. None: it is not there."""

    async def delete_endpoint(self, tenant: str, endpoint_id: str, by: Actor) -> bool:
        """Delete it; what was to be sent to it is given up. False: it is not there."""

    async def add_test(self, tenant: str, endpoint_id: str, body: bytes, by: Actor) -> str | None:
        """Make a delivery that tells of no job; returns its id. None: it is not there, or is disabled."""

    async def list_tries(self, tenant: str, endpoint_id: str, behind: str, limit: int) -> list[Try]:
        """List deliveries of an endpoint, newest first, those that come after the one with this id (empty: all)."""

    async def redeliver(
        self, tenant: str, endpoint_id: str, delivery_id: str | None, since: datetime | None, by: Actor
    ) -> int | None:
        """Send one delivery again, whatever came of it, or those that failed since then, but for verifications; returns how many, at most 10,000.

        None: the endpoint is not there, or is disabled.
        """

    async def take_due(self, limit: int, lease_s: float) -> list[DueDelivery]:
        """Take deliveries whose time has come, at most four at once for each endpoint, and of one that is disabled its newest verification alone; nobody else takes them for so many seconds."""

    async def mark(self, delivery: DueDelivery, answer: Answer, pause_s: float | None) -> str | None:
        """Write what came of a try that this process has taken, and when the next is due (None: it is the last).

        An endpoint that has taken its newest verification is verified, and goes on if it was disabled.
        Returns why that has disabled the endpoint, if it has.
        """

    async def give_up(self, limit: int) -> int:
        """Give up deliveries to endpoints that are disabled or gone, but for newest verifications, at most so many; returns how many."""

    async def prune_deliveries(self, keep_s: float, limit: int) -> int:
        """Delete deliveries that are done and were made longer ago than this, at most so many; returns how many."""
