"""Carries plans out in an event loop of asyncio."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, TypeVar

import httpx2

from sluice.client.core import Core
from sluice.client.errors import BadAnswer, ClientClosed
from sluice.client.http_client import MOST_BYTES, headers_of, is_sent, options, timeouts, told
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
    Request,
    Send,
    Step,
)
from sluice.client.watching import Watch

T = TypeVar("T")


class AsyncDriver:
    """Sends with an HTTP client of its own, which is made anew in another event loop and in a process that was forked."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._clients: dict[tuple[int, int, bool], tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient]] = {}
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        core.watching.start, core.watching.signal = self._start, asyncio.Event

    async def close(self) -> None:
        """Close what is open. Whoever waits is told so."""
        self._closed = True
        self._core.watching.close(ClientClosed())
        for task in list(self._tasks):
            task.cancel()
        here = asyncio.get_running_loop()
        for loop, client in list(self._clients.values()):
            if loop is here:
                await client.aclose()
        self._clients.clear()

    async def run(self, plan: Plan[T]) -> T:
        """Carry out a plan that emits nothing, and return its result."""
        came: Any = None
        async with AsyncStream() as stream:
            try:
                while True:
                    came = await self._take(plan.send(came), stream)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T
            finally:
                plan.close()

    async def iterate(
        self, plan: Plan[None], inputs: AsyncIterator[Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """Carry out a plan, and yield what it emits. The stream that it has opened ends with it."""
        came: Any = None
        async with AsyncStream() as stream:
            try:
                while True:
                    try:
                        step = plan.send(came)
                    except StopIteration:
                        return
                    came = None
                    if isinstance(step, Emit):
                        yield step.value
                    elif isinstance(step, Pull):
                        came = await anext(inputs, END) if inputs is not None else END
                    else:
                        came = await self._take(step, stream)
            finally:
                plan.close()

    async def _take(self, step: Step, stream: AsyncStream) -> Any:
        if self._closed:
            raise ClientClosed
        match step:
            case Send(request, timeout_s):
                return await self._send(request, timeout_s)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Open(request, timeout_s):
                return await self._open(request, timeout_s, stream)
            case Read():
                return await stream.read()
            case Attend(watch, timeout_s):
                return await self._attend(watch, timeout_s)
        raise AssertionError(step)

    def _client(self, streams: bool = False) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        place = os.getpid(), id(loop), streams
        known = self._clients.get(place)
        if known is None or known[0] is not loop:
            known = self._clients[place] = loop, httpx2.AsyncClient(**options(self._core.config, streams))
        return known[1]

    async def _send(self, request: Request, timeout_s: float) -> Answer | Broken:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._started(self._client(), request, timeout_s) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise BadAnswer(f"The answer has more than {MOST_BYTES} bytes.")
                return Answer(response.status_code, headers_of(response), bytes(body))
        except TimeoutError:
            return Broken(f"the answer was not there in {timeout_s:.0f} s", sent=True)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            return Broken(f"{type(error).__name__}: {error}", is_sent(error))

    def _started(
        self, client: httpx2.AsyncClient, request: Request, timeout_s: float
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        return client.stream(
            request.method,
            self._core.config.url + request.path,
            headers=self._core.headers(request),
            content=request.body,
            timeout=timeouts(timeout_s),
        )

    async def _open(self, request: Request, timeout_s: float, stream: AsyncStream) -> Answer | Broken:
        try:
            async with asyncio.timeout(timeout_s):
                response = await stream.open(self._started(self._client(streams=True), request, timeout_s))
                body = b"" if response.status_code == 200 else (await response.aread())[:MOST_BYTES]
            return Answer(response.status_code, headers_of(response), body)
        except TimeoutError:
            return Broken(f"the answer was not there in {timeout_s:.0f} s", sent=True)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            return Broken(f"{type(error).__name__}: {error}", is_sent(error))

    async def _attend(self, watch: Watch[Any], timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s if math.isfinite(timeout_s) else None):
                await watch.signal.wait()
        watch.signal.clear()

    def _start(self, plan: Plan[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._watch_over(plan))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch_over(self, plan: Plan[None]) -> None:
        try:
            await self.run(plan)
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait have to hear of it
            self._core.watching.close(told(error))


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
        self._chunks = response.aiter_bytes()
        return response

    async def read(self) -> bytes | Broken | None:
        """Return the next bytes, None at the end."""
        try:
            return await anext(self._chunks, None) if self._chunks else None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            return Broken(f"{type(error).__name__}: {error}", sent=True)
