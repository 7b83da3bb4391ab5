"""One way to use both clients, so that each case runs over both: what blocks is called in a thread, and awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sluice.client import AsyncSluice, Job, Sluice

AT_ONCE = frozenset({"job"})
"""Methods that neither client has to be awaited for."""
END = object()
POOL = ThreadPoolExecutor(1_100, "blocking")


def open_client(way: str, *args: Any, **more: Any) -> Any:
    """Make a client that is used as AsyncSluice is: that itself, or the one that blocks."""
    return AsyncSluice(*args, **more) if way == "async" else Blocking(Sluice(*args, **more))


class Blocking:
    """A Sluice or a Job whose methods run in threads."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found) or name.startswith("_"):
            return wrap(found)
        if name in AT_ONCE:
            return lambda *args, **more: wrap(found(*args, **more))
        return lambda *args, **more: Call(lambda: found(*unwrap(args), **unwrap(more)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocking) and other.inner == self.inner

    def __hash__(self) -> int:
        return hash(self.inner)

    async def __aenter__(self) -> Blocking:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.inner.close)


class Call:
    """A call that blocks, to be awaited or iterated over."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        return wrap(await in_thread(self._call))

    async def __aiter__(self) -> AsyncIterator[Any]:
        values = iter(self._call())
        while (value := await in_thread(lambda: next(values, END))) is not END:
            yield wrap(value)


async def in_thread(call: Callable[[], Any]) -> Any:
    """Call it in a thread of its own, as many as there are: those of asyncio are few."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(POOL, call)


def wrap(value: Any) -> Any:
    """Have jobs among these values used in the same way."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(wrap(each) for each in value)
    return Blocking(value) if isinstance(value, (Job, Sluice)) else value


def unwrap(value: Any) -> Any:
    """Give the client its own jobs."""
    if isinstance(value, dict):
        return {name: unwrap(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(each) for each in value)
    return value.inner if isinstance(value, Blocking) else value
