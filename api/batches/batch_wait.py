"""Wait for the end of a batch: one waiter under all its unfinished jobs, which reads nothing until they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from api.http.asgi import Receive
from api.jobs.wait import ASK_ALONE_S, Waiter, Waiting
from sluice.core.batch import Batch
from sluice.core.errors import TRANSIENT
from sluice.core.ports import BatchStore, Wake


class BatchWaiter(Waiter):
    """Waits until all these jobs have ended."""

    __slots__ = ("_ended", "_open")

    def __init__(self, jobs: Iterable[str]) -> None:
        super().__init__()
        self._open, self._ended = set(jobs), set[str]()

    @property
    def over(self) -> bool:
        """Whether none is left, as far as was told."""
        return not self._open

    def tell(self, job_id: str, wake: Wake) -> None:
        """Wake up at the end of the last one."""
        if wake.finished:
            self._ended.add(job_id)
            self._open.discard(job_id)
            if not self._open:
                self.wakeup.set()

    def expect(self, jobs: Iterable[str]) -> None:
        """Wait for these, as far as their ends were not told meanwhile."""
        self._open = set(jobs) - self._ended


class BatchWaiting:
    """Holds requests until their batches have ended."""

    def __init__(self, store: BatchStore, waiting: Waiting) -> None:
        self._store, self._waiting = store, waiting

    async def until_finished(self, tenant: str, batch: Batch, timeout_s: float, receive: Receive) -> None:
        """Wait until nothing of a tenant's batch is unfinished, the time is up, the client is gone or the process is stopping.

        If too many wait, nobody else does.
        """
        if not batch.counts.unfinished:
            return
        with suppress(TimeoutError, *TRANSIENT):
            async with asyncio.timeout(timeout_s):
                jobs = await self._store.list_unfinished(tenant, batch.id)
                if self._waiting.may_wait(len(jobs)):
                    waiter = BatchWaiter(jobs)
                    async with self._waiting.enroll(waiter, jobs, receive):
                        await self._watch(tenant, batch.id, waiter)

    async def _watch(self, tenant: str, batch_id: str, waiter: BatchWaiter) -> None:
        """Read what is unfinished once enrolled, once all have ended, and from time to time: wake-ups may be lost with Redis."""
        while not (waiter.gone or self._waiting.stopping):
            again_s = self._waiting.ask_again_s
            try:
                waiter.expect(await self._store.list_unfinished(tenant, batch_id))
                if waiter.over:
                    return
            except TRANSIENT:
                again_s = ASK_ALONE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(again_s):
                    await waiter.wakeup.wait()
            waiter.wakeup.clear()
