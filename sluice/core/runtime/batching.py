"""Batches that form by themselves: items that arrive while one call is in flight form the next.

At low load a batch is one item and adds no delay; at high load it is hundreds. Used in front of every server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from time import monotonic
from typing import Generic, TypeVar

from sluice.core.errors import BadRow, Overloaded, ServerRefused, TryAgain
from sluice.core.runtime.telemetry import BatchSink, count_no_batch

T = TypeVar("T")
R = TypeVar("R")

LARGE = 256 * 1024
"""Bytes from which on an item flies apart from smaller ones."""
OVERHEAD = 1_024
"""Bytes that an item counts for besides what it carries."""
TRIES = 4
LATEST_S = 30
"""The most seconds after which somebody who is refused is told to come again."""


def one(_: object) -> int:
    """Count each item as one, for batches where only their number matters."""
    return 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a batch may be (`rows`, and `size` in bytes), how many may be in flight, and how much may wait.

    Items are refused while `waiting` of them wait, or `waiting_size` bytes, or if they would wait for more than `waiting_s` seconds.
    `rest_s` is a pause between two batches, in seconds: if nobody waits for the answer, more items gather meanwhile.
    """

    rows: int = 500
    size: int = 4 * 1024 * 1024
    in_flight: int = 1
    waiting: int = 5_000
    waiting_size: float = inf
    waiting_s: float = inf
    rest_s: float = 0.0


class Batcher(Generic[T, R]):
    """Collects items and hands them to `call` in batches; each caller gets the answer to its own item.

    `call` returns one answer per item, in order. If it raises TryAgain the batch is called again, in the end item by item;
    if it raises BadRow or ServerRefused the batch is halved until the bad items are alone. Any other error goes to all callers.
    `count` is told of each call.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[list[T]], Awaitable[Sequence[R]]],
        limits: Limits = Limits(),
        size_of: Callable[[T], int] = one,
        count: BatchSink = count_no_batch,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.name = name
        self._call, self._count, self._clock = call, count, clock
        self._limits = limits
        self._size_of = size_of
        self._waiting: deque[tuple[T, int, asyncio.Future[R]]] = deque()
        self._waiting_size = 0
        self._flights: set[asyncio.Task[None]] = set()
        self._called_at: list[float] = []  # of the calls in flight, the oldest first
        self._recent_s = 0.0

    def __repr__(self) -> str:
        return f"<Batcher {self.name}: {len(self._waiting)} waiting, {len(self._flights)} in flight>"

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: T) -> asyncio.Future[R]:
        """Join the next batch. Raises Overloaded if too much waits already."""
        return self.put_sized(item, self._size_of(item))

    def expected_wait_s(self) -> float:
        """Estimate the seconds until a new item's batch is called; 0 unless a whole batch waits before it.

        One call that is slow is no backlog: what comes meanwhile goes with the next. Where more waits than that, each batch is expected
        to take as long as the latest did, or as the present one has taken by now.
        """
        before = max(len(self._waiting) // self._limits.rows, self._waiting_size // self._limits.size)
        if not before or len(self._flights) < self._limits.in_flight:
            return 0.0
        took = self._clock() - self._called_at[0] if self._called_at else 0.0
        each = max(took, self._recent_s)
        return max(each - took, 0.0) + before * each

    def check(self, part: float = 1.0) -> None:
        """Raise Overloaded if a new item would wait for longer than this part of what it may."""
        if (
            self._limits.waiting_s < inf
            and (wait_s := self.expected_wait_s()) > part * self._limits.waiting_s
        ):
            raise Overloaded(max(1, min(ceil(wait_s), LATEST_S)))

    def put_sized(self, item: T, size: int) -> asyncio.Future[R]:
        """Do as `put` with an item whose size is known."""
        if len(self._waiting) >= self._limits.waiting or self._waiting_size >= self._limits.waiting_size:
            raise Overloaded
        self._waiting_size += size
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, size, answer))
        if len(self._flights) < self._limits.in_flight:
            self._start_flight()
        return answer

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        while self._flights:
            await asyncio.wait(self._flights)

    def _start_flight(self) -> None:
        flight = asyncio.get_running_loop().create_task(self._run_flight(), name=f"batch-{self.name}")
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _run_flight(self) -> None:
        try:
            while batch := self._next_batch():
                await self._time_call(batch)
                if self._limits.rest_s:
                    await asyncio.sleep(self._limits.rest_s)
        finally:
            # At once: a caller that was just answered may put again before any callback of this task has run.
            self._flights.discard(asyncio.current_task())

    async def _time_call(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        called_at = self._clock()
        self._called_at.append(called_at)
        try:
            await self._call_with(batch)
            self._recent_s = (self._recent_s + self._clock() - called_at) / 2
        finally:
            self._called_at.remove(called_at)

    def _next_batch(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        size = 0
        while self._waiting and len(batch) < self._limits.rows:
            item, item_size, answer = self._waiting[0]
            if batch and size + item_size > self._limits.size:
                break
            self._waiting.popleft()
            size += item_size
            batch.append((item, answer))
        self._waiting_size -= size
        return batch

    async def _call_with(self, batch: list[tuple[T, asyncio.Future[R]]], tries: int = TRIES) -> None:
        self._count(self.name, len(batch))
        try:
            answers = await self._call([item for item, _ in batch])
            # Within the try: a call that loses an answer must fail, or its caller would wait for ever.
            answered = list(zip(batch, answers, strict=True))
        except (TryAgain, BadRow, ServerRefused) as error:
            if len(batch) == 1 and (tries == 1 or not isinstance(error, TryAgain)):
                _fail(batch, error)
            else:
                await self._retry(batch, error, tries)
        except asyncio.CancelledError:
            _fail(batch, asyncio.CancelledError())
            raise
        except Exception as error:  # noqa: BLE001  every caller must be told, whatever it is
            _fail(batch, error)
        else:
            for (_, future), answer in answered:
                if not future.done():
                    future.set_result(answer)

    async def _retry(self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception, tries: int) -> None:
        """Call again: with halves if a row is bad, with single items once the whole was tried often enough."""
        if isinstance(error, TryAgain):
            step, tries = (len(batch), tries - 1) if tries > 2 else (1, max(1, tries - 1))
        else:
            step = (len(batch) + 1) // 2
        for start in range(0, len(batch), step):
            await self._call_with(batch[start : start + step], tries)


class SplitBatcher(Generic[T, R]):
    """Batches of small items, and apart from them batches of large ones, so that the small do not wait for those."""

    def __init__(
        self,
        name: str,
        call: Callable[[list[T]], Awaitable[Sequence[R]]],
        limits: Limits,
        size_of: Callable[[T], int],
        count: BatchSink = count_no_batch,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._small = Batcher(name, call, limits, size_of, count, clock)
        self._large = Batcher(f"{name}-large", call, limits, size_of, count, clock)
        self._size_of = size_of

    def put(self, item: T, part: float = 1.0) -> asyncio.Future[R]:
        """Join the next batch of its kind. Raises Overloaded if too much waits already, or it would wait for this part of what it may."""
        size = self._size_of(item)
        batcher = self._large if size > LARGE else self._small
        batcher.check(part)
        return batcher.put_sized(item, size)

    def check(self, part: float) -> None:
        """Raise Overloaded if a small item would be refused."""
        self._small.check(part)

    def expected_wait_s(self) -> float:
        """Estimate the seconds until a new small item's batch is called."""
        return self._small.expected_wait_s()

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        await self._small.drain()
        await self._large.drain()


def _fail(batch: Sequence[tuple[object, asyncio.Future[R]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
            future.exception()  # retrieved, or asyncio would warn if the caller has left
