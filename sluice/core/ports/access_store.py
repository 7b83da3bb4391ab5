"""A tenant's API keys in the record, for those who manage them, and what was done for the tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sluice.core.access import Actor, AuditEntry, ListedKey, NewApiKey


class AccessStore(Protocol):
    """A tenant's API keys. Each change is written down by the statement that makes it; each also raises OutcomeUnknown."""

    async def insert_api_key(self, new: NewApiKey, by: Actor) -> ListedKey | None:
        """Store a new key; None if the tenant has as many good ones as it may."""

    async def page_api_keys(self, tenant: str, behind: str, limit: int) -> list[ListedKey]:
        """List keys of a tenant, newest first, those that come after the one with this id (empty: all)."""

    async def show_api_key(self, tenant: str, key_id: str) -> ListedKey | None:
        """Find the key with this id, usable or not."""

    async def rotate_api_key(
        self, old_id: str, new: NewApiKey, overlap_s: float, by: Actor
    ) -> tuple[ListedKey, datetime] | None:
        """Put a new key in the place of a good one, which ends after so many seconds, unless it does before; returns when.

        It has the name, the scopes and the lifetime of the old one, which may have no other scopes than `new` says. None if
        the old one is not good, or has other scopes, or if the tenant has as many good ones as it may.
        """

    async def revoke_api_key(self, tenant: str, key_id: str, by: Actor, even_last: bool = False) -> bool:
        """Refuse this key from now on. False if it is not there, was revoked before, or is the last good one with the scope `admin`."""

    async def list_audit(self, tenant: str, below: int, limit: int) -> list[AuditEntry]:
        """List what was written down for a tenant, newest first, of those below this id."""
