"""Begin a bulk act, look it up, let it go on, abort it, wait until it rests. Keepers carry it on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from api.http.asgi import Receive
from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.lookup import JOB_ID
from api.jobs.wait import Waiter, Waiting
from sluice.core.access import Actor
from sluice.core.bulk import BulkAct, NewBulkAct
from sluice.core.errors import (
    TRANSIENT,
    BulkNotWaiting,
    BulkUnknown,
    Flaw,
    IdempotencyKeyReused,
    Invalid,
    TooManyBulkActs,
)
from sluice.core.listing import ABOVE_ALL
from sluice.core.ports import BulkStore, Wake

LOOK_S = 0.5
"""How often the record is asked for an act that a request waits for: nobody announces its steps."""


class RestWaiter(Waiter):
    """Waits under no job, for the client's leaving or the end of the process."""

    __slots__ = ()

    def tell(self, job_id: str, wake: Wake) -> None:
        """Hear of no job."""


class BulkActs:
    """All bulk acts. Each method raises ServerAway, and for an act that is unknown or of another tenant BulkUnknown."""

    def __init__(self, store: BulkStore, waiting: Waiting) -> None:
        self._store, self._waiting = store, waiting

    async def begin(self, new: NewBulkAct, key: IdempotencyKey | None, by: Actor) -> tuple[BulkAct, bool]:
        """Begin an act, or find the one that the key stands for; also says which. Raises IdempotencyKeyReused, TooManyBulkActs."""
        if key is not None:
            new = new._replace(key=key.key, request_hash=key.request_hash)
            if (known := await self._find_by_key(new)) is not None:
                return known, True
        if (made := await self._store.open_act(new, by)) is not None:
            return made, False
        if key is not None and (known := await self._find_by_key(new)) is not None:
            return known, True
        raise TooManyBulkActs

    async def find(self, tenant: str, act_id: str) -> BulkAct:
        """Find an act as it stands."""
        found = await self._store.find_act(tenant, act_id) if JOB_ID.fullmatch(act_id) else None
        if found is None:
            raise BulkUnknown
        return found

    async def page(self, tenant: str, size: int, token: str = "") -> tuple[list[BulkAct], str | None]:
        """List acts, newest first, and make the token of the next page. Raises Invalid."""
        if token and not JOB_ID.fullmatch(token):
            raise Invalid(
                [Flaw("?page_token", "page-token", "page_token is the `next_page_token` of a page.")]
            )
        found = await self._store.list_acts(tenant, token or ABOVE_ALL, size + 1)
        return found[:size], found[size - 1].id if len(found) > size else None

    async def go(self, tenant: str, act_id: str, version: int | None, by: Actor) -> BulkAct:
        """Let an act go on that waits, at this version if one is named. Raises BulkNotWaiting."""
        gone = await self._store.go(tenant, act_id, version, by) if JOB_ID.fullmatch(act_id) else None
        if gone is None:
            await self.find(tenant, act_id)
            raise BulkNotWaiting
        return gone

    async def abort(self, tenant: str, act_id: str, by: Actor) -> BulkAct:
        """Abort an act; one that has ended stays as it is."""
        gone = await self._store.abort(tenant, act_id, by) if JOB_ID.fullmatch(act_id) else None
        return gone or await self.find(tenant, act_id)

    async def until_it_rests(self, act: BulkAct, timeout_s: float, receive: Receive) -> BulkAct:
        """Wait until an act takes no step by itself, the time is up, the client is gone or the process is stopping.

        If too many wait, nobody else does.
        """
        if not timeout_s or act.rests or not self._waiting.may_wait():
            return act
        waiter = RestWaiter()
        async with self._waiting.enroll(waiter, (), receive):
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while not (act.rests or waiter.gone or self._waiting.stopping):
                        with suppress(TimeoutError):
                            async with asyncio.timeout(LOOK_S):
                                await waiter.wakeup.wait()
                        waiter.wakeup.clear()
                        with suppress(*TRANSIENT):  # what is known stays an answer
                            act = await self.find(act.tenant, act.id)
        return act

    async def _find_by_key(self, new: NewBulkAct) -> BulkAct | None:
        use = await self._store.find_act_by_key(new.tenant, new.key or "")
        if use is None:
            return None
        if use.request_hash != new.request_hash:
            raise IdempotencyKeyReused
        return await self._store.find_act(new.tenant, use.job_id)
