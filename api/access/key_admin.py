"""Manage a tenant's API keys: make, list, rotate, revoke. A key is in the answer that makes it, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from api.access.schemas import KEY_ID, KeyRequest
from api.http.errors import Forbidden
from api.keys.api_key import make_new_key
from api.keys.keyring import Identity, Keyring
from sluice.core.access import Actor, ListedKey
from sluice.core.errors import Flaw, Invalid, KeyEnded, KeyUnknown, LastAdminKey, TooManyKeys, TryAgain
from sluice.core.ports import AccessStore

_KEY_ID = re.compile(KEY_ID)


class MadeKey(NamedTuple):
    """A new key as it is listed, its text, and when the one that it replaces ends."""

    listed: ListedKey
    text: str
    old_ends_at: datetime | None = None


class KeyAdmin:
    """Makes and ends keys. Methods that name one raise KeyUnknown, also for those of other tenants; all raise ServerAway."""

    def __init__(self, store: AccessStore, keyring: Keyring, pepper: str) -> None:
        self._store, self._keyring, self._pepper = store, keyring, pepper.encode()

    async def create(self, caller: Identity, request: KeyRequest, by: Actor) -> MadeKey:
        """Make a key that permits no more than the caller's. Raises Forbidden, TooManyKeys, OutcomeUnknown."""
        _refuse_wider(request.scopes, caller)
        new, text = make_new_key(
            self._pepper, caller.tenant, frozenset(request.scopes), request.name, request.expires_days
        )
        made = await self._store.insert_api_key(new, by)
        if made is None:
            raise TooManyKeys
        return MadeKey(made, text)

    async def page(self, tenant: str, size: int, behind: str = "") -> tuple[list[ListedKey], bool]:
        """List up to this many that come after one, newest first, and say whether there are more. Raises Invalid."""
        if behind and not (_KEY_ID.fullmatch(behind) and await self._store.show_api_key(tenant, behind)):
            raise Invalid(
                [Flaw("?page_token", "page-token", "page_token is the `next_page_token` of a page.")]
            )
        found = await self._store.page_api_keys(tenant, behind, size + 1)
        return found[:size], len(found) > size

    async def rotate(self, caller: Identity, key_id: str, overlap_s: float, by: Actor) -> MadeKey:
        """Put a new key in the place of one that is good. Raises KeyEnded, Forbidden, TooManyKeys, TryAgain, OutcomeUnknown.

        Nobody gets a key by it that permits more than his own.
        """
        old = await self._find(caller.tenant, key_id)
        if not old.usable:
            raise KeyEnded
        _refuse_wider(old.scopes, caller)
        new, text = make_new_key(self._pepper, caller.tenant, caller.scopes)
        made = await self._store.rotate_api_key(key_id, new, overlap_s, by)
        if made is None:
            raise TooManyKeys if (await self._find(caller.tenant, key_id)).usable else TryAgain
        return MadeKey(made[0], text, made[1])

    async def revoke(self, tenant: str, key_id: str, by: Actor, even_last: bool = False) -> None:
        """Refuse a key from now on: here at once, elsewhere once it is no longer fresh. Again changes nothing.

        Raises LastAdminKey, OutcomeUnknown.
        """
        old = await self._find(tenant, key_id)
        if old.revoked_at is None:
            gone = await self._store.revoke_api_key(tenant, key_id, by, even_last)
            if not gone and (await self._find(tenant, key_id)).revoked_at is None:
                raise LastAdminKey
        self._keyring.forget(key_id)

    async def _find(self, tenant: str, key_id: str) -> ListedKey:
        found = await self._store.show_api_key(tenant, key_id) if _KEY_ID.fullmatch(key_id) else None
        if found is None:
            raise KeyUnknown
        return found


def _refuse_wider(scopes: Collection[str], caller: Identity) -> None:
    """Raise Forbidden for the first scope that the caller's own key lacks."""
    for scope in sorted(scopes):
        if scope not in caller.scopes:
            raise Forbidden(scope)
