"""Group failed jobs by their error, and mark groups as resolved or ignored."""

from __future__ import annotations

from time import time
from typing import NamedTuple

from sluice.core.access import OPERATOR, Actor
from sluice.core.errors import ErrorUnknown
from sluice.core.listing import ErrorGroup, ErrorMark, first_id
from sluice.core.ports import ListingStore

ERRORS_S = 7 * 86_400.0
"""Age of the oldest jobs whose errors are grouped."""
MOST_FAILURES = 1_000
"""Failed jobs whose errors are grouped at most."""


class Errors(NamedTuple):
    """Groups of failures, how many failures they hold, and whether there may be more than were looked at."""

    groups: list[ErrorGroup]
    failures: int
    more: bool


class ErrorGroups:
    """Each method costs the record a bounded number of rows, however many jobs the tenant has."""

    def __init__(self, store: ListingStore) -> None:
        self._store = store

    async def find(self, tenant: str) -> Errors:
        """Group the newest failures by their error, the most frequent first."""
        groups = await self._store.list_errors(tenant, first_id(time() - ERRORS_S), MOST_FAILURES)
        failures = sum(group.failures for group in groups)
        return Errors(groups, failures, failures == MOST_FAILURES)

    async def mark(
        self, tenant: str, fingerprint: str, mark: ErrorMark | None, by: Actor = OPERATOR
    ) -> ErrorGroup:
        """Mark a group, or open it again, and return it. Raises ErrorUnknown if no failure that is looked at has this error."""
        if not await self._find_one(tenant, fingerprint):
            raise ErrorUnknown
        await self._store.mark_error(tenant, fingerprint, mark, by)
        group = await self._find_one(tenant, fingerprint)
        if not group:
            raise ErrorUnknown
        return group

    async def _find_one(self, tenant: str, fingerprint: str) -> ErrorGroup | None:
        groups = (await self.find(tenant)).groups
        return next((group for group in groups if group.fingerprint == fingerprint), None)
