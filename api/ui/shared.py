"""What all pages of a process share: sessions, and the errors of tenants whose overview is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from api.error_groups.error_groups import ErrorGroups, Errors
from api.ui.session import Sessions
from sluice.core.peppers import Peppers
from sluice.core.runtime.bounded_dict import BoundedDict

FRESH_S = 4.0
"""Seconds for which overviews show the same errors, however many are looked at: finding them costs more than all else there."""
MOST_TENANTS = 100
MOST_EXPORTS = 2
"""Lists that are sent as files at once: each asks the record for page after page."""


class Shared:
    """Made once for all pages."""

    def __init__(self, peppers: Peppers, clock: Callable[[], float] = monotonic) -> None:
        self.sessions = Sessions(peppers)
        self._clock = clock
        self._errors: BoundedDict[str, tuple[float, Errors]] = BoundedDict(MOST_TENANTS)
        self._finding = asyncio.Lock()
        self.exports = asyncio.Semaphore(MOST_EXPORTS)

    async def errors(self, groups: ErrorGroups, tenant: str) -> Errors:
        """Return the errors of a tenant as they were a moment ago. Raises ServerAway."""
        async with self._finding:
            known = self._errors.get(tenant)
            if known is None or self._clock() >= known[0] + FRESH_S:
                known = self._errors[tenant] = self._clock(), await groups.find(tenant)
        return known[1]
