"""Wait: hold a request until a job changes. One Redis subscription per process wakes all waiting requests."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping
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

MOST_WATCHED = 1_000_000
"""Jobs that requests wait for in all, a job once for each: they take a quarter of a KiB each."""


class Waiter(ABC):
    """One waiting request."""

    __slots__ = ("gone", "wakeup")

    def __init__(self) -> None:
        self.gone = False
        self.wakeup = asyncio.Event()

    async def watch_client(self, receive: Receive) -> None:
        """Wake up once the client has gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.wakeup.set()

    @abstractmethod
    def tell(self, job_id: str, wake: Wake) -> None:
        """Say what was announced about a job that it waits for."""

    def tell_all(self) -> None:
        """Say that something may have been missed."""
        self.wakeup.set()


class JobWaiter(Waiter):
    """Waits for one job. A document older than `floor`, the newest version announced, is no answer."""

    __slots__ = ("floor", "to_the_end")

    def __init__(self, floor: int, to_the_end: bool) -> None:
        super().__init__()
        self.floor = floor
        self.to_the_end = to_the_end

    def tell(self, _: str, wake: Wake) -> None:
        """Wake up if this is what it waits for."""
        version, finished = wake
        if version > self.floor and (finished or not self.to_the_end):
            self.floor = version
            self.wakeup.set()


class Waiting:
    """All waiting requests of this process."""

    def __init__(self, lookup: Lookup, limit: int, listening: Callable[[], bool]) -> None:
        self._lookup = lookup
        self._listening = listening
        self._limit = limit
        self._enrolled: set[Waiter] = set()
        self._waiters: dict[str, Collection[Waiter]] = {}
        self._watched = 0
        self.stopping = False

    def __len__(self) -> int:
        return len(self._enrolled)

    @property
    def ask_again_s(self) -> float:
        """After how many seconds to ask the record though nobody was woken."""
        return ASK_ANYWAY_S if self._listening() else ASK_ALONE_S

    def may_wait(self, jobs: int = 1) -> bool:
        """Tell whether one more request may wait, for so many jobs."""
        room = jobs == 1 or self._watched + jobs <= MOST_WATCHED
        return room and not self.stopping and len(self._enrolled) < self._limit

    def wake(self, wakes: Mapping[str, Wake]) -> None:
        """Wake those who wait for these jobs; an empty mapping wakes all, as some wake-ups may have been missed."""
        if not wakes:
            self._wake_all()
        for job_id in wakes.keys() & self._waiters.keys():
            for waiter in self._waiters[job_id]:
                waiter.tell(job_id, wakes[job_id])

    def release(self) -> None:
        """Answer everybody with what is known: the process is stopping."""
        self.stopping = True
        self._wake_all()

    async def wait(
        self, tenant: str, document: Document, timeout_s: float, receive: Receive, to_the_end: bool = False
    ) -> Document:
        """Wait until the document has another version than this one or, if the end is waited for, until it is finished.

        Returns the document as it is then when the time is up, and what is known when the client is gone, the process is
        stopping or too many wait.
        """
        if document.finished or not self.may_wait():
            return document
        waiter = JobWaiter(document.version, to_the_end)
        async with self.enroll(waiter, (document.id,), receive):
            known = document.version
            try:
                async with asyncio.timeout(timeout_s):
                    while not (waiter.gone or self.stopping or _changed(document, known, to_the_end)):
                        document = await self._next(tenant, document, waiter)
            except TimeoutError:
                return await self._read(tenant, document)
        return document

    async def until_finished(self, document: Document, timeout_s: float, receive: Receive) -> Document:
        """Wait until the job has finished, if there is time to wait at all."""
        if not timeout_s:
            return document
        return await self.wait(document.tenant, document, timeout_s, receive, to_the_end=True)

    @asynccontextmanager
    async def enroll(self, waiter: Waiter, ids: Collection[str], receive: Receive) -> AsyncIterator[None]:
        """Tell the waiter of these jobs, all different, and of its client's leaving, while the block runs."""
        alone = (waiter,)
        for job_id in ids:
            self._register(job_id, alone)
        self._enrolled.add(waiter)
        self._watched += len(ids)
        gone = asyncio.create_task(waiter.watch_client(receive), name="client-watch")
        try:
            yield
        finally:
            gone.cancel()
            self._watched -= len(ids)
            self._enrolled.discard(waiter)
            for job_id in ids:
                self._unregister(job_id, waiter)

    async def _next(self, tenant: str, document: Document, waiter: JobWaiter) -> Document:
        """Read again; if that is older than what was announced, or nothing new, wait for a wake-up first."""
        timeout_s = self.ask_again_s
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

    def _register(self, job_id: str, alone: tuple[Waiter]) -> None:
        """Add a waiter for this job. Most jobs have one, and a set for each would take more than all the rest."""
        there = self._waiters.setdefault(job_id, alone)
        if isinstance(there, set):
            there.update(alone)
        elif there is not alone:
            self._waiters[job_id] = {*there, *alone}

    def _unregister(self, job_id: str, waiter: Waiter) -> None:
        there = self._waiters[job_id]
        if isinstance(there, set):
            there.discard(waiter)
            if there:
                return
        del self._waiters[job_id]

    def _wake_all(self) -> None:
        for waiter in self._enrolled:
            waiter.tell_all()


def _changed(document: Document, known: int, to_the_end: bool) -> bool:
    return document.finished if to_the_end else document.version != known
