"""List jobs page by page, with signed page tokens."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from sluice.core.errors import Flaw, Invalid, Malformed
from sluice.core.job import Job, JobState
from sluice.core.listing import ABOVE_ALL, Filter
from sluice.core.page_tokens import paging_key, seal, unseal
from sluice.core.peppers import Peppers
from sluice.core.ports import ListingStore

EVERY_STATE = tuple(JobState)
_POINTERS = {"list": "?page_token"}


class JobQuery(NamedTuple):
    """Which jobs of which tenant are wanted, and for what: a token made for one purpose is not valid for another."""

    tenant: str
    purpose: str
    wanted: Filter

    @property
    def spelling(self) -> bytes:
        """What the token of a page is bound to."""
        return orjson.dumps([self.tenant, self.purpose]) + self.wanted.spelling


class Page(NamedTuple):
    """Jobs, newest first, and the token of the next page; None at the end."""

    jobs: list[Job]
    next_token: str | None


class Listing:
    """Reads jobs for lists. Each method costs the record a bounded number of rows, however many jobs the tenant has."""

    def __init__(self, store: ListingStore, peppers: Peppers) -> None:
        self._store, self._keys = store, [paging_key(each) for each in peppers.all]

    async def page(self, query: JobQuery, size: int, token: str | None, open_only: bool = False) -> Page:
        """Read one page. Raises Invalid for a token that belongs to another query, and ServerAway."""
        below = self._read_token(query, token)
        wanted = query.wanted._replace(states=query.wanted.states or EVERY_STATE)
        found = await self._store.list_jobs(query.tenant, wanted, below, size, open_only)
        return Page(found.jobs, found.below and seal(self._keys[0], query.spelling, found.below))

    def _read_token(self, query: JobQuery, token: str | None) -> str:
        if token is None:
            return ABOVE_ALL
        try:
            return unseal(self._keys, query.spelling, token)
        except Malformed:
            flaw = "This is no token of this list: it has to come with the filter and the tenant that it was made for."
            raise Invalid([Flaw(_POINTERS.get(query.purpose, "/page_token"), "page-token", flaw)]) from None
