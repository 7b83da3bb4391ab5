"""The batch that forms by itself: while one call is in flight, what arrives waits together for the next.

At low load a batch is one item and adds no delay; at high load it is hundreds. Used for every server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice.core.errors import BadRow, Overloaded, TryAgain

T = TypeVar("T")
R = TypeVar("R")

TRIES = 4


def one(_: object) -> int:
    """The size of an item where only the number of items matters."""
    return 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How large one batch may be (`rows`, `size`), how many may be in flight, and how many items may wait.

    `rest_s` seconds pass between two batches: for what nobody waits for, so that more gathers.
    """

    rows: int = 500
    size: int = 4 * 1024 * 1024
    in_flight: int = 1
    waiting: int = 5_000
    rest_s: float = 0.0


class Batcher(Generic[T, R]):
    """Collects items and hands them to `call` in batches; each caller gets the answer to its own item.

    `call` returns one answer per item, in order. Where it raises TryAgain the batch is called again, at last singly;
    where it raises BadRow the batch is halved until the bad items stand alone. Any other error goes to all callers.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[list[T]], Awaitable[Sequence[R]]],
        limits: Limits = Limits(),
        size_of: Callable[[T], int] = one,
    ) -> None:
        self.name = name
        self._call = call
        self._limits = limits
        self._size_of = size_of
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._flights: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Batcher {self.name}: {len(self._waiting)} waiting, {len(self._flights)} in flight>"

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: T) -> asyncio.Future[R]:
        """Join the current batch. Raises Overloaded where too many wait already."""
        if len(self._waiting) >= self._limits.waiting:
            raise Overloaded
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if len(self._flights) < self._limits.in_flight:
            self._take_off()
        return answer

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        while self._flights:
            await asyncio.wait(self._flights)

    def _take_off(self) -> None:
        flight = asyncio.get_running_loop().create_task(self._fly(), name=f"batch-{self.name}")
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _fly(self) -> None:
        try:
            while batch := self._next_batch():
                await self._answer(batch)
                if self._limits.rest_s:
                    await asyncio.sleep(self._limits.rest_s)
        finally:
            # At once: a caller that was just answered may put again before any callback of this task has run.
            self._flights.discard(asyncio.current_task())

    def _next_batch(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        size = 0
        while self._waiting and len(batch) < self._limits.rows:
            size += self._size_of(self._waiting[0][0])
            if batch and size > self._limits.size:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]], tries: int = TRIES) -> None:
        try:
            answers = await self._call([item for item, _ in batch])
            # In here: a call that loses an answer is an error, or its caller would wait for ever.
            answered = list(zip(batch, answers, strict=True))
        except (TryAgain, BadRow) as error:
            if len(batch) == 1 and (isinstance(error, BadRow) or tries == 1):
                _fail(batch, error)
            else:
                await self._again(batch, error, tries)
        except asyncio.CancelledError:
            _fail(batch, asyncio.CancelledError())
            raise
        except Exception as error:  # noqa: BLE001  every caller must hear of it, whatever it is
            _fail(batch, error)
        else:
            for (_, future), answer in answered:
                if not future.done():
                    future.set_result(answer)

    async def _again(self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception, tries: int) -> None:
        """The batch once more: halved where a row is bad, singly where it was tried often enough as a whole."""
        if isinstance(error, BadRow):
            step = (len(batch) + 1) // 2
        else:
            step, tries = (len(batch), tries - 1) if tries > 2 else (1, max(1, tries - 1))
        for start in range(0, len(batch), step):
            await self._answer(batch[start : start + step], tries)


def _fail(batch: Sequence[tuple[object, asyncio.Future[R]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
            future.exception()  # a caller that left must not turn this into a warning about a lost error
