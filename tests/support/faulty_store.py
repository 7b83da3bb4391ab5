"""A store, real or in memory, that fails on demand: it refuses a call, loses the reply to one, or keeps one waiting."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar

from sluice.core.errors import ServerAway

T = TypeVar("T")
Call = Callable[[], Awaitable[Any]]
Step = Callable[[Call], Awaitable[Any]]
Script = defaultdict[str, deque[Step]]


def refused(error: Exception | None = None) -> Step:
    """The call fails and has done nothing."""

    async def step(_: Call) -> Any:
        raise error or ServerAway("postgresql")

    return step


def lost(error: Exception | None = None) -> Step:
    """The call does its work, and its reply is lost."""

    async def step(call: Call) -> Any:
        await call()
        raise error or ServerAway("postgresql")

    return step


def late(gate: Gate, error: Exception | None = None) -> Step:
    """The reply is lost at once, and the call does its work only when the gate is opened."""

    async def step(call: Call) -> Any:
        gate.work = asyncio.ensure_future(gate(call))
        raise error or ServerAway("postgresql")

    return step


class Gate:
    """A call that waits until it is let through; `reached` says that it has come."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.work: asyncio.Future[Any] | None = None

    async def __call__(self, call: Call) -> Any:
        self.reached.set()
        await self.open.wait()
        return await call()


async def let_through(call: Call, gate: Gate) -> Any:
    """The call does its work at once; its answer waits at the gate."""
    answer = await call()
    gate.reached.set()
    await gate.open.wait()
    return answer


class FaultyStore(Generic[T]):
    """Stands in front of `record`: `script["claim"]` holds what happens at the next calls of `port.claim`, in turn.

    `port` has the type of the record and shares its state; calls of the record itself go by no script.
    """

    def __init__(self, record: T, script: Script | None = None) -> None:
        self.record = record
        self.script: Script = defaultdict(deque) if script is None else script
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._moved = asyncio.Condition()
        self.port = self._scripted(record)

    async def called(self, name: str, times: int = 1) -> None:
        """Return once a method was called so often."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.calls[name] >= times)

    def _scripted(self, record: T) -> T:
        names = [name for name in dir(record) if not name.startswith("_")]
        methods = [name for name in names if iscoroutinefunction(getattr(type(record), name, None))]
        scripted = type("Scripted", (type(record),), {name: self._step(name) for name in methods})
        port: T = object.__new__(scripted)
        port.__dict__ = record.__dict__
        return port

    def _step(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(_: T, *args: Any, **options: Any) -> Any:
            step = self.script[name].popleft() if self.script[name] else _plainly
            try:
                return await step(lambda: getattr(self.record, name)(*args, **options))
            finally:
                self.calls[name] += 1
                async with self._moved:
                    self._moved.notify_all()

        return call


async def _plainly(call: Call) -> Any:
    return await call()
