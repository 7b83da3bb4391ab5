"""Carries plans out in an event loop of asyncio."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, TypeVar

import httpx2

from sluice.client.core import Core
from sluice.client.errors import BadAnswer, ClientClosed, ClientError
from sluice.client.http_client import MOST_BYTES, TOO_LARGE, headers_of, is_sent, opened, timeouts, told
from sluice.client.plan import (
    END,
    Answer,
    Attend,
    Broken,
    Emit,
    Open,
    Pause,
    Plan,
    Pull,
    Read,
    Send,
    Step,
)
from sluice.client.watching import Watch

T = TypeVar("T")


class _Place:
    """What belongs to one event loop of one process."""

    def __init__(self) -> None:
        self.clients: dict[bool, httpx2.AsyncClient] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.closing = asyncio.Event()


class AsyncDriver:
    """Sends with an HTTP client of its own, which is made anew in another event loop and in a process that was forked."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._places: dict[tuple[int, asyncio.AbstractEventLoop], _Place] = {}
        self._closed = False
        core.place, core.start, core.signal = place, self._start, asyncio.Event

    async def close(self) -> None:
        """Close what is open in this event loop. Whoever waits is told so, in others as well."""
        self._closed = True
        here = self._here
        for where in list(self._places):
            if where[0] == os.getpid() and not where[1].is_closed():
                where[1].call_soon_threadsafe(self._wake, where)
        for client in list(here.clients.values()):
            await client.aclose()
        here.clients.clear()

    def _wake(self, where: tuple[int, asyncio.AbstractEventLoop]) -> None:
        self._places[where].closing.set()
        for task in list(self._places[where].tasks):
            task.cancel()
        if where in self._core.watchings:
            self._core.watchings[where].close(ClientClosed())

    @property
    def _here(self) -> _Place:
        here = place()
        found = self._places.get(here)
        if found is None:
            self._forget_closed_loops()
            found = self._places[here] = _Place()
        return found

    def _forget_closed_loops(self) -> None:
        """Keep nothing of loops that never run again, such as those of `asyncio.run`."""
        for known in (self._places, self._core.watchings):
            for each in [each for each in list(known) if each[1].is_closed()]:
                known.pop(each, None)

    async def run(self, plan: Plan[T]) -> T:
        """Carry out a plan that emits nothing, and return its result."""
        go_on: Callable[[Any], Step] = plan.send
        came: Any = None
        async with AsyncStream() as stream:
            try:
                while True:
                    step = go_on(came)
                    try:
                        go_on, came = plan.send, await self._take(step, stream)
                    except ClientError as error:
                        go_on, came = plan.throw, error
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T
            finally:
                plan.close()

    async def iterate(
        self, plan: Plan[None], inputs: AsyncIterator[Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """Carry out a plan, and yield what it emits. The stream that it has opened ends with it."""
        go_on: Callable[[Any], Step] = plan.send
        came: Any = None
        async with AsyncStream() as stream:
            try:
                while True:
                    try:
                        step = go_on(came)
                    except StopIteration:
                        return
                    go_on, came = plan.send, None
                    if isinstance(step, Emit):
                        yield step.value
                    elif isinstance(step, Pull):
                        came = await anext(inputs, END) if inputs is not None else END
                    else:
                        try:
                            came = await self._take(step, stream)
                        except ClientError as error:
                            go_on, came = plan.throw, error
            finally:
                plan.close()

    async def _take(self, step: Step, stream: AsyncStream) -> Any:
        if self._closed:
            raise ClientClosed
        match step:
            case Send(_, timeout_s):
                return await self._attempt(timeout_s, self._send(step))
            case Pause(seconds):
                return await _wait_for(self._here.closing, seconds)
            case Open(_, timeout_s):
                return await self._attempt(timeout_s, self._open(step, stream))
            case Read(timeout_s):
                return await self._attempt(timeout_s, stream.read())
            case Attend(watch, timeout_s):
                return await self._attend(watch, timeout_s)
        raise AssertionError(step)

    async def _attempt(self, timeout_s: float, act: Awaitable[T]) -> T | Broken:
        try:
            async with asyncio.timeout(timeout_s):
                return await act
        except TimeoutError:
            return Broken(f"the answer was not there in {timeout_s:.0f} s", sent=True)
        except (httpx2.HTTPError, httpx2.StreamError, RuntimeError) as error:
            if self._closed:  # meanwhile, by another task
                raise ClientClosed from None
            if isinstance(error, RuntimeError):
                raise
            return Broken(f"{type(error).__name__}: {error}", is_sent(error))

    def _client(self, streams: bool = False) -> httpx2.AsyncClient:
        known = self._here.clients
        if streams not in known:
            known[streams] = opened(httpx2.AsyncClient, self._core.config, streams)
        return known[streams]

    async def _send(self, step: Send) -> Answer:
        async with self._started(self._client(), step) as response:
            return Answer(response.status_code, headers_of(response), await body_of(response))

    def _started(
        self, client: httpx2.AsyncClient, step: Send | Open
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        request = step.request
        return client.stream(
            request.method,
            self._core.config.url + request.path,
            headers=self._core.headers(request),
            content=request.body,
            timeout=timeouts(step.timeout_s),
        )

    async def _open(self, step: Open, stream: AsyncStream) -> Answer:
        response = await stream.open(self._started(self._client(streams=True), step))
        body = b"" if response.status_code == 200 else await body_of(response)
        return Answer(response.status_code, headers_of(response), body)

    async def _attend(self, watch: Watch[Any], timeout_s: float) -> None:
        await _wait_for(watch.signal, timeout_s)
        watch.signal.clear()

    def _start(self, plan: Plan[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._watch_over(plan))
        self._here.tasks.add(task)
        task.add_done_callback(self._here.tasks.discard)

    async def _watch_over(self, plan: Plan[None]) -> None:
        try:
            await self.run(plan)
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait have to hear of it
            self._core.watching.close(told(error))


def place() -> tuple[int, asyncio.AbstractEventLoop]:
    """Return where the caller is."""
    return os.getpid(), asyncio.get_running_loop()


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds if math.isfinite(seconds) else None):
            await event.wait()


async def body_of(response: httpx2.Response) -> bytes:
    """Read the rest of an answer. Raises BadAnswer if it is larger than any of the API."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise BadAnswer(TOO_LARGE)
    return bytes(body)


class AsyncStream:
    """An answer that comes bit by bit, if one was opened."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._chunks: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def open(self, started: AbstractAsyncContextManager[httpx2.Response]) -> httpx2.Response:
        """Begin this answer, and end the one before."""
        await self._stack.aclose()
        response = await self._stack.enter_async_context(started)
        self._chunks = response.aiter_raw()
        return response

    async def read(self) -> bytes | None:
        """Return the next bytes, None at the end."""
        return await anext(self._chunks, None) if self._chunks else None
