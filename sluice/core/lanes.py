"""Lanes, their queues, and the order in which a consumer takes jobs from them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")

PRIORITIES = ("high", "normal", "low", "overflow")
"""A lane's queues. Clients choose among the first three; `overflow` is for jobs over a tenant's share."""

OVERFLOW = "overflow"
"""The one that no client can choose."""

WEIGHTS: Mapping[str, int] = {"high": 8, "normal": 4, "low": 1, "overflow": 1}
"""Slots given to each queue per round, so that none starves."""

DEAD_QUEUE = "sluice.dead"
"""RabbitMQ's dead-letter queue: the keeper offers its jobs again."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A named stream of work.

    `slots` is how many of its jobs one consumer runs at once; `ids_per_message` how many job ids one message carries.
    """

    name: str
    slots: int
    ids_per_message: int

    @property
    def queues(self) -> dict[str, str]:
        """Queue name by priority."""
        return {priority: queue_name(self.name, priority) for priority in PRIORITIES}


def queue_name(lane: str, priority: str) -> str:
    """Name the RabbitMQ queue of a lane and priority."""
    return f"sluice.{lane}.{priority}"


class WeightedBuffers(Generic[T]):
    """Local buffers, one per priority, emptied 8 : 4 : 1 : 1 and first in, first out within each."""

    def __init__(self) -> None:
        self._buffers: dict[str, deque[T]] = {priority: deque() for priority in PRIORITIES}
        self._credit = dict(WEIGHTS)

    def __len__(self) -> int:
        return sum(map(len, self._buffers.values()))

    def put(self, priority: str, items: Iterable[T]) -> None:
        """Append items to the buffer of one priority."""
        self._buffers[priority].extend(items)

    def take(self, count: int) -> list[T]:
        """Take up to `count` items, in the order in which slots are to be filled."""
        return [self._next() for _ in range(min(count, len(self)))]

    def order(self) -> list[str]:
        """List the priorities in the order in which they are to give the next item."""
        return sorted(self._buffers, key=lambda priority: self._credit[priority] == 0)

    def holds(self, priority: str) -> bool:
        """Tell whether there are items of a priority."""
        return bool(self._buffers[priority])

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Drop the items that are not wanted."""
        for priority, buffer in self._buffers.items():
            self._buffers[priority] = deque(filter(wanted, buffer))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._buffers.values())

    def clear(self) -> list[T]:
        """Empty the buffers; return what was in them."""
        return self.take(len(self))

    def _next(self) -> T:
        while True:
            for priority, buffer in self._buffers.items():
                if buffer and self._credit[priority]:
                    self._credit[priority] -= 1
                    return buffer.popleft()
            self._credit = dict(WEIGHTS)


class Turns:
    """Turns of the priorities when jobs are claimed from the record by polling: 8 : 4 : 1 : 1 again, but without buffers.

    `had` counts the turns that each priority had in the current round. A priority without waiting jobs does not save up
    turns.
    """

    def __init__(self) -> None:
        self.had = dict.fromkeys(PRIORITIES, 0)

    def took(self, priorities: Iterable[str]) -> None:
        """Note that jobs of these priorities were taken, one turn each."""
        taken = Counter(priorities)
        had = {priority: turns + taken[priority] for priority, turns in self.had.items()}
        rounds = max(((had[each] - 1) // WEIGHTS[each] for each in taken), default=0)
        self.had = {priority: max(0, had[priority] - rounds * WEIGHTS[priority]) for priority in had}
