"""Submit a batch: open it → take each item as a submit of its own → close it. Look it up, and wait for its end.

Once it is open, nothing that fails can mean that nothing was accepted: each item has its own outcome.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from api.batches.items import Prepared, Sender
from api.jobs.lookup import JOB_ID
from api.jobs.prepared_job import PreparedJob
from api.jobs.submit import Submission
from api.jobs.submit_result import SubmitResult
from api.jobs.submit_whole import Found, New, find_all, insert_all
from sluice.core.batch import Batch, NewBatch
from sluice.core.errors import BatchRefused, BatchUnknown, Flaw, IdempotencyKeyReused, Invalid, Overloaded
from sluice.core.ports import BatchStore
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.tasks import TaskSet
from sluice.errors import SluiceError

BATCHES_AT_ONCE = 4
ITEMS_AT_ONCE = 50
"""Batches whose items are taken at once, and how many of each: few wait for the commit before the submits of others."""
TURN_S = 5.0
"""Seconds that a batch waits for its turn."""
OPEN_TRIES = 3
CLOSE_AGAIN_S = 1.0
MOST_UNCLOSED = 100_000
"""Items in all of batches that are closed later, as the record was away."""

_log = logging.getLogger("sluice.api")


class Outcomes(Protocol):
    """Where it is noted what came of each item. `jobs` has the job of each, None for those refused."""

    @property
    def jobs(self) -> Sequence[str | None]:
        """The job of each item."""

    def expect(self, items: int) -> int:
        """Expect so many more items; return the position of the first."""

    def accept(self, index: int, result: SubmitResult) -> None:
        """Note that an item was accepted, or that its work is shared."""

    def refuse(self, index: int, error: BaseException) -> None:
        """Note that it was not."""


class Opened(NamedTuple):
    """A batch in the record. `replayed`: an earlier request with the same key has opened it."""

    id: str
    replayed: bool


class Batches:
    """All batches. `keep_s` is how long one is kept at least, in seconds."""

    def __init__(self, store: BatchStore, submission: Submission, keep_s: float) -> None:
        self._store, self._submission, self._keep_s = store, submission, keep_s
        self._turns = asyncio.Semaphore(BATCHES_AT_ONCE)
        self._closing: TaskSet[None] = TaskSet()
        self._unclosed = 0

    async def submit(self, sender: Sender, items: Sequence[Prepared], outcomes: Outcomes) -> Opened:
        """Take what can be taken of these items, and note what came of each.

        Raises IdempotencyKeyReused, Overloaded, ServerAway, TryAgain before anything was accepted, and nothing afterwards.
        """
        await self._take_turn()
        try:
            planned = [each.job.id if isinstance(each, PreparedJob) else None for each in items]
            opened = await self._open(sender, planned)
            await self._take_all(items, outcomes)
        finally:
            self._turns.release()
        if opened.replayed or planned != list(outcomes.jobs):
            await self._close(opened.id, list(outcomes.jobs))
        return opened

    async def submit_stream(
        self,
        sender: Sender,
        parts: AsyncIterator[Sequence[Prepared]],
        outcomes: Outcomes,
    ) -> tuple[Opened, SluiceError | None]:
        """Take what can be taken of items that arrive in parts. Also returns why the rest of them did not arrive, if so.

        Raises as `submit` does, and what reading them raises, if none has arrived by then.
        """
        opened, stopped = None, None
        try:
            async for items in parts:
                await self._take_turn(patient=opened is not None)
                try:
                    if opened is None:
                        opened = await self._open(sender, ())
                    await self._take_all(items, outcomes)
                finally:
                    self._turns.release()
        except SluiceError as error:
            if opened is None:
                raise
            stopped = error
        if opened is None:
            raise Invalid([Flaw("", "missing", "A batch has at least one item.")])
        await self._close(opened.id, list(outcomes.jobs))
        return opened, stopped

    async def submit_whole(self, sender: Sender, items: Sequence[Prepared], outcomes: Outcomes) -> Opened:
        """Take all of these items or none. Raises BatchRefused, having noted which are refused, and what `submit` raises."""
        await self._take_turn()
        try:
            prepared = [each for each in items if isinstance(each, PreparedJob)]
            found = iter(await find_all(self._submission, prepared))
            whole = [next(found) if isinstance(each, PreparedJob) else each for each in items]
            _refuse_if_any(whole, outcomes)
            opened = await self._open(sender, _plan(whole))
            results = await insert_all(self._submission, prepared, whole)
            _refuse_if_any(results, outcomes)
        finally:
            self._turns.release()
        for index, result in enumerate(results, outcomes.expect(len(results))):
            if isinstance(result, SubmitResult):
                outcomes.accept(index, result)
        if opened.replayed or _plan(whole) != outcomes.jobs:
            await self._close(opened.id, list(outcomes.jobs))
        return opened

    async def find(self, tenant: str, batch_id: str) -> Batch:
        """Find a tenant's batch as it stands. Raises BatchUnknown, ServerAway, TryAgain, Overloaded."""
        found = await self._store.count_batch(tenant, batch_id) if JOB_ID.fullmatch(batch_id) else None
        if found is None:
            raise BatchUnknown
        return found

    async def drain(self) -> None:
        """Wait until every batch is closed."""
        await self._closing.drain()

    async def _take_turn(self, patient: bool = False) -> None:
        """Wait for a turn. Raises Overloaded if none comes in time, unless patience is wanted: what has begun goes on."""
        try:
            async with asyncio.timeout(None if patient else TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Overloaded from None

    async def _open(self, sender: Sender, planned: Sequence[str | None]) -> Opened:
        """Open a batch, or find the one that its key stands for. A second statement finds that, as with jobs."""
        key = sender.key or (None, None)
        new = NewBatch(new_job_id(), sender.tenant, self._keep_s, *key)
        for _ in range(OPEN_TRIES):
            if await self._store.open_batch(new, planned):
                return Opened(new.id, replayed=False)
            use = await self._store.find_batch_by_key(new.tenant, new.key or "")
            if use is not None and use.request_hash != new.request_hash:
                raise IdempotencyKeyReused
            if use is not None:
                return Opened(use.job_id, replayed=True)
        raise Overloaded  # the batch was pruned each time in between

    async def _take_all(self, items: Sequence[Prepared], outcomes: Outcomes) -> None:
        left = iter(enumerate(items, outcomes.expect(len(items))))
        await asyncio.gather(*(self._take_some(left, outcomes) for _ in range(ITEMS_AT_ONCE)))

    async def _take_some(self, items: Iterator[tuple[int, Prepared]], outcomes: Outcomes) -> None:
        for index, item in items:
            if not isinstance(item, PreparedJob):
                outcomes.refuse(index, item)
                continue
            try:
                outcomes.accept(index, await self._submission.take(item, bulk=True))
            except Exception as error:  # noqa: BLE001  others were accepted, which must be said whatever this is
                if not isinstance(error, SluiceError):
                    _log.exception("unforeseen", extra={"item": index})
                outcomes.refuse(index, error)

    async def _close(self, batch_id: str, jobs: Sequence[str | None]) -> None:
        """Store what the items came to; if the record is away, later."""
        try:
            await self._store.close_batch(batch_id, jobs)
        except SluiceError:
            if self._unclosed + len(jobs) <= MOST_UNCLOSED:
                self._unclosed += len(jobs)
                self._closing.start(self._close_later(batch_id, jobs), "close-batch")

    async def _close_later(self, batch_id: str, jobs: Sequence[str | None]) -> None:
        try:
            while True:
                await asyncio.sleep(CLOSE_AGAIN_S)
                with suppress(SluiceError):
                    await self._store.close_batch(batch_id, jobs)
                    return
        finally:
            self._unclosed -= len(jobs)


def _refuse_if_any(found: Sequence[Found], outcomes: Outcomes) -> None:
    """Raise BatchRefused if any item is refused, once it is noted which."""
    refused = [(index, each) for index, each in enumerate(found) if isinstance(each, SluiceError)]
    if refused:
        outcomes.expect(len(found))
        for index, error in refused:
            outcomes.refuse(index, error)
        raise BatchRefused(
            f"{len(refused)} of {len(found)} items are refused, so none was accepted; `items` says why."
        )


def _plan(found: Sequence[Found]) -> list[str | None]:
    """Return the job that each item is to become."""
    ids: list[str | None] = []
    for each in found:
        if isinstance(each, New):
            ids.append(each.job.id if each.like is None else ids[each.like])
        else:
            ids.append(each.document.id if isinstance(each, SubmitResult) else None)
    return ids
