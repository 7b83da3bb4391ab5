"""Read who did what for a tenant, page by page."""

from __future__ import annotations

import re
from typing import Any

import orjson

from sluice.core.access import AuditEntry
from sluice.core.errors import Flaw, Invalid
from sluice.core.ports import AccessStore

ABOVE_ALL = 2**63 - 1
PLACE = r"[1-9][0-9]{0,17}"

_PLACE = re.compile(PLACE, re.ASCII)


class Audit:
    """Lists what was written down. Each page costs the record as many rows as it has, however many there are."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    async def page(self, tenant: str, size: int, token: str = "") -> tuple[list[AuditEntry], str | None]:
        """List up to this many, newest first, and make the token of the next page. Raises Invalid, ServerAway."""
        if token and not _PLACE.fullmatch(token):
            raise Invalid(
                [Flaw("?page_token", "page-token", "page_token is the `next_page_token` of a page.")]
            )
        found = await self._store.list_audit(tenant, int(token or ABOVE_ALL), size + 1)
        return found[:size], str(found[size - 1].id) if len(found) > size else None


def show_entry(entry: AuditEntry) -> dict[str, Any]:
    """Show an entry as clients see it, ready for orjson."""
    shown = entry._asdict() | {"detail": orjson.Fragment(entry.detail)}
    del shown["id"]
    return shown
