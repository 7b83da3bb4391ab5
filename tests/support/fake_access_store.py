"""sluice.core.ports.AccessStore in memory."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

import orjson

from sluice.core.access import MOST_KEYS, Actor, AuditEntry, ListedKey, NewApiKey
from tests.support.fake_record import FakeRecord


class FakeAccessStore:
    """The keys of every tenant, by their ids; `record` is whose time it is, and whether it is away."""

    def __init__(self, record: FakeRecord) -> None:
        self._record = record
        self.listed: dict[str, ListedKey] = {}
        self._spans: dict[str, timedelta] = {}
        self._audit: list[tuple[str, AuditEntry]] = []

    async def insert_api_key(self, new: NewApiKey, by: Actor) -> ListedKey | None:
        """Store it."""
        self._record.check()
        if len(self._good(new.tenant)) >= MOST_KEYS:
            return None
        span = None if new.expires_days is None else timedelta(days=new.expires_days)
        self._note(new.tenant, "key.create", new.key_id, by)
        return self._add(new.key_id, new.tenant, new.name, sorted(new.scopes), span)

    async def page_api_keys(self, tenant: str, behind: str, limit: int) -> list[ListedKey]:
        """List them."""
        self._record.check()
        last = self.listed.get(behind)
        mine = [key for key in self._all() if key.tenant == tenant]
        mine.sort(key=_place, reverse=True)
        return [key for key in mine if last is None or _place(key) < _place(last)][:limit]

    async def show_api_key(self, tenant: str, key_id: str) -> ListedKey | None:
        """Find it."""
        self._record.check()
        return next((key for key in self._all() if (key.tenant, key.key_id) == (tenant, key_id)), None)

    async def rotate_api_key(
        self, old_id: str, new: NewApiKey, overlap_s: float, by: Actor
    ) -> tuple[ListedKey, datetime] | None:
        """Add another, and end this one soon."""
        self._record.check()
        good = self._good(new.tenant)
        old = next((key for key in good if key.key_id == old_id and new.scopes.issuperset(key.scopes)), None)
        if old is None or len(good) >= MOST_KEYS:
            return None
        self._note(old.tenant, "key.rotate", old_id, by)
        ends = self._record.now + timedelta(seconds=overlap_s)
        ends = min(ends, old.expires_at or ends)
        self.listed[old_id] = old._replace(expires_at=ends, replaced_by=new.key_id)
        return self._add(new.key_id, old.tenant, old.name, old.scopes, self._spans.get(old_id)), ends

    async def revoke_api_key(self, tenant: str, key_id: str, by: Actor, even_last: bool = False) -> bool:
        """Revoke it, unless it is the last."""
        self._record.check()
        key = self.listed.get(key_id)
        if key is None or key.tenant != tenant or key.revoked_at:
            return False
        admins = {each.key_id for each in self._good(tenant) if "admin" in each.scopes}
        if admins == {key_id} and not even_last:
            return False
        self.listed[key_id] = key._replace(revoked_at=self._record.now)
        self._note(tenant, "key.revoke", key_id, by)
        return True

    async def list_audit(self, tenant: str, below: int, limit: int) -> list[AuditEntry]:
        """List it."""
        self._record.check()
        mine = (entry for owner, entry in reversed(self._audit) if owner == tenant and entry.id < below)
        return list(islice(mine, limit))

    def _note(self, tenant: str, action: str, key_id: str, by: Actor) -> None:
        about = orjson.dumps({"request_id": by.request_id} if by.request_id else {}).decode()
        number = len(self._audit) + 1
        entry = AuditEntry(number, self._record.now, by.key_id, action, f"key/{key_id}", about)
        self._audit.append((tenant, entry))

    def _add(
        self, key_id: str, tenant: str, name: str | None, scopes: list[str], span: timedelta | None
    ) -> ListedKey:
        at = self._record.now
        if span is not None:
            self._spans[key_id] = span
        expires_at = None if span is None else at + span
        self.listed[key_id] = ListedKey(key_id, tenant, name, scopes, at, expires_at, None, None, None, True)
        return self.listed[key_id]

    def _all(self) -> list[ListedKey]:
        now = self._record.now
        ended = {key.key_id for key in self.listed.values() if key.expires_at and key.expires_at <= now}
        return [
            key._replace(usable=not key.revoked_at and key.key_id not in ended)
            for key in self.listed.values()
        ]

    def _good(self, tenant: str) -> list[ListedKey]:
        return [key for key in self._all() if key.tenant == tenant and key.usable]


def _place(key: ListedKey) -> tuple[datetime, str]:
    return key.created_at, key.key_id
