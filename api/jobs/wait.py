"""Wait: hold a request until its job changes. One Redis subscription per process wakes all waiting requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from api.http.asgi import Receive
from api.jobs.lookup import Lookup
from sluice.core.document import Document
from sluice.core.errors import TRANSIENT
from sluice.core.ports import Wake

ASK_ANYWAY_S = 15.0
"""How often the record is asked while there is a subscription: a wake-up may be lost with Redis."""

ASK_ALONE_S = 2.0
"""How often the record is asked while there is no subscription."""


class Waiter:
    """One request that waits for one job. A document older than `floor`, the newest version announced, is no answer."""

    __slots__ = ("floor", "gone", "to_the_end", "wakeup")

    def __init__(self, floor: int, to_the_end: bool) -> None:
        self.floor = floor
        self.to_the_end = to_the_end
        self.gone = False
        self.wakeup = asyncio.Event()

    async def watch_client(self, receive: Receive) -> None:
        """Wake up once the client has gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.wakeup.set()


class Waiting:
    """All waiting requests of this process."""

    def __init__(self, lookup: Lookup, limit: int, listening: Callable[[], bool]) -> None:
        self._lookup = lookup
        self._listening = listening
        self._limit = limit
        self._waiters: dict[str, set[Waiter]] = {}
        self._count = 0
        self._stopping = False

    def __len__(self) -> int:
        return self._count

    def wake(self, wakes: Mapping[str, Wake]) -> None:
        """Wake those who wait for these jobs; an empty mapping wakes all, as some wake-ups may have been missed."""
        if not wakes:
            self._wake_all()
        for job_id in wakes.keys() & self._waiters.keys():
            version, finished = wakes[job_id]
            for waiter in self._waiters[job_id]:
                if version > waiter.floor and (finished or not waiter.to_the_end):
                    waiter.floor = version
                    waiter.wakeup.set()

    def release(self) -> None:
        """Answer everybody with what is known: the process is stopping."""
        self._stopping = True
        self._wake_all()

    async def wait(
        self, tenant: str, document: Document, timeout_s: float, receive: Receive, to_the_end: bool = False
    ) -> Document:
        """Wait until the document has another version than this one or, if the end is waited for, until it is finished.

        Returns the document as it is then when the time is up, and what is known when the client is gone, the process is
        stopping or too many wait.
        """
        if document.finished or self._stopping or self._count >= self._limit:
            return document
        waiter = Waiter(document.version, to_the_end)
        async with self._enroll(waiter, document.id, receive):
            known = document.version
            try:
                async with asyncio.timeout(timeout_s):
                    while not (waiter.gone or self._stopping or _changed(document, known, to_the_end)):
                        document = await self._next(tenant, document, waiter)
            except TimeoutError:
                return await self._read(tenant, document)
        return document

    async def until_finished(self, document: Document, timeout_s: float, receive: Receive) -> Document:
        """Wait until the job has finished, if there is time to wait at all."""
        if not timeout_s:
            return document
        return await self.wait(document.tenant, document, timeout_s, receive, to_the_end=True)

    async def _next(self, tenant: str, document: Document, waiter: Waiter) -> Document:
        """Read again; if that is older than what was announced, or nothing new, wait for a wake-up first."""
        timeout_s = ASK_ANYWAY_S if self._listening() else ASK_ALONE_S
        try:
            found = await self._lookup.find(tenant, document.id)
            if found.version > document.version and found.version >= waiter.floor:
                return found
        except TRANSIENT:  # what is known stays an answer
            timeout_s = ASK_ALONE_S
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await waiter.wakeup.wait()
        waiter.wakeup.clear()
        return document

    async def _read(self, tenant: str, document: Document) -> Document:
        """Read once more: nobody is woken by the start of a job whose end is waited for."""
        with suppress(*TRANSIENT):  # as above
            found = await self._lookup.find(tenant, document.id)
            return found if found.version >= document.version else document
        return document

    @asynccontextmanager
    async def _enroll(self, waiter: Waiter, job_id: str, receive: Receive) -> AsyncIterator[None]:
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._count += 1
        gone = asyncio.create_task(waiter.watch_client(receive), name="client-watch")
        try:
            yield
        finally:
            gone.cancel()
            self._count -= 1
            self._waiters[job_id].discard(waiter)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def _wake_all(self) -> None:
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wakeup.set()


def _changed(document: Document, known: int, to_the_end: bool) -> bool:
    return document.finished if to_the_end else document.version != known
