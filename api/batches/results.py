"""Send the results of a batch as they come: what has finished at once, the rest while the client waits.

Of a reader that is slow nothing is looked up in advance, so that a stream holds a few documents however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from api.http.asgi import Receive
from api.jobs.lookup import JOB_ID, Lookup
from api.jobs.wait import Waiter, Waiting
from sluice.core.document import Document
from sluice.core.errors import TRANSIENT, BatchUnknown, JobUnknown
from sluice.core.ports import BatchStore, Wake

STREAMS_READING = 4
DOCUMENTS_AT_ONCE = 4
"""Streams that look up documents at once, and how many each: few are before the look-ups of others, and little is held."""

Emit = Callable[[Document], Awaitable[None]]
"""Sends a document, and returns once there is room for the next."""


class EndWaiter(Waiter):
    """Notes which jobs have ended."""

    __slots__ = ("ended", "missed")

    def __init__(self) -> None:
        super().__init__()
        self.ended, self.missed = set[str](), False

    def tell(self, job_id: str, wake: Wake) -> None:
        """Wake up at the end of a job."""
        if wake.finished:
            self.ended.add(job_id)
            self.wakeup.set()

    def tell_all(self) -> None:
        """Look for what has ended."""
        self.missed = True
        self.wakeup.set()


class Jobs(NamedTuple):
    """The jobs of a tenant's batch in the order of its items, and which of them are unfinished."""

    tenant: str
    batch_id: str
    ids: Sequence[str]
    unfinished: Collection[str]


class BatchResults:
    """Follows the jobs of batches to their ends."""

    def __init__(self, store: BatchStore, lookup: Lookup, waiting: Waiting) -> None:
        self._store, self._lookup, self._waiting = store, lookup, waiting
        self._turns = asyncio.Semaphore(STREAMS_READING)

    async def find(self, tenant: str, batch_id: str) -> Jobs:
        """Find the jobs of a tenant's batch. Raises BatchUnknown, ServerAway, TryAgain, Overloaded."""
        items = await self._store.list_items(tenant, batch_id) if JOB_ID.fullmatch(batch_id) else None
        if items is None:
            raise BatchUnknown
        unfinished = await self._store.list_unfinished(tenant, batch_id)
        return Jobs(tenant, batch_id, list(dict.fromkeys(filter(None, items))), unfinished)

    async def follow(self, jobs: Jobs, timeout_s: float, receive: Receive, emit: Emit) -> None:
        """Send each job once it has finished, until all have or the time is up; what cannot be read is left out.

        It ends as well when the client is gone or the process is stopping. If too many wait, nobody else does.
        """
        waiter, clock = EndWaiter(), asyncio.get_running_loop().time
        open_, until = set(jobs.unfinished), clock() + timeout_s
        waits = timeout_s > 0 and self._waiting.may_wait(len(open_))
        async with self._waiting.enroll(waiter, tuple(open_) if waits else (), receive):
            if waits:  # once more, as some may have ended before anybody listened
                open_ &= await self._list_unfinished(jobs, open_)
            await self._send(jobs.tenant, [each for each in jobs.ids if each not in open_], waiter, emit)
            while waits and open_ and not self._is_over(waiter) and (left_s := until - clock()) > 0:
                ended = await self._next(jobs, open_, waiter, left_s)
                open_ -= ended
                await self._send(jobs.tenant, ended, waiter, emit)

    async def _next(self, jobs: Jobs, open_: set[str], waiter: EndWaiter, left_s: float) -> set[str]:
        """Wait until some have ended, or for so long; wake-ups may be lost with Redis, so all are asked for from time to time."""
        again_s = self._waiting.ask_again_s
        try:
            async with asyncio.timeout(min(left_s, again_s)):
                await waiter.wakeup.wait()
        except TimeoutError:
            waiter.missed = True
        waiter.wakeup.clear()
        ended, waiter.ended = waiter.ended & open_, set()
        if waiter.missed:
            waiter.missed = False
            ended |= open_ - await self._list_unfinished(jobs, open_)
        return ended

    async def _list_unfinished(self, jobs: Jobs, otherwise: set[str]) -> set[str]:
        with suppress(*TRANSIENT):
            return set(await self._store.list_unfinished(jobs.tenant, jobs.batch_id))
        return otherwise

    async def _send(self, tenant: str, ids: Collection[str], waiter: EndWaiter, emit: Emit) -> None:
        left = list(ids)
        while left and not self._is_over(waiter):
            some, left = left[:DOCUMENTS_AT_ONCE], left[DOCUMENTS_AT_ONCE:]
            async with self._turns:
                found = await asyncio.gather(*(self._find(tenant, each) for each in some))
            for document in filter(None, found):
                await emit(document)

    async def _find(self, tenant: str, job_id: str) -> Document | None:
        with suppress(JobUnknown, *TRANSIENT):
            document = await self._lookup.find(tenant, job_id)
            return document if document.finished else None
        return None

    def _is_over(self, waiter: EndWaiter) -> bool:
        return waiter.gone or self._waiting.stopping
