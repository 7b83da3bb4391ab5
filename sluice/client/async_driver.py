"""Carries plans out in an event loop of asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import httpx2

from sluice.client.core import Core
from sluice.client.errors import BadAnswer, ClientClosed
from sluice.client.http_client import MOST_BYTES, headers_of, is_sent, options, timeouts
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

T = TypeVar("T")


class AsyncDriver:
    """Sends with an HTTP client of its own, which is made anew in another event loop and in a process that was forked."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._clients: dict[tuple[int, int, bool], tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient]] = {}
        self._closed = False

    async def close(self) -> None:
        """Close what is open. Whoever waits is told so."""
        self._closed = True
        here = asyncio.get_running_loop()
        for loop, client in list(self._clients.values()):
            if loop is here:
                await client.aclose()
        self._clients.clear()

    async def run(self, plan: Plan[T]) -> T:
        """Carry out a plan that emits nothing, and return its result."""
        came: Any = None
        async with AsyncExitStack() as streams:
            try:
                while True:
                    came = await self._take(plan.send(came), streams)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T
            finally:
                plan.close()

    async def iterate(
        self, plan: Plan[None], inputs: AsyncIterator[Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """Carry out a plan, and yield what it emits. The stream that it has opened ends with it."""
        came: Any = None
        async with AsyncExitStack() as streams:
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
                        came = await self._take(step, streams)
            finally:
                plan.close()

    async def _take(self, step: Step, streams: AsyncExitStack) -> Any:
        if self._closed:
            raise ClientClosed
        match step:
            case Send(request, timeout_s):
                return await self._send(request, timeout_s)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Open(request, timeout_s):
                await streams.aclose()
                return await self._open(request, timeout_s, streams)
            case Read(timeout_s):
                return await self._read(timeout_s)
            case Attend(watch, timeout_s):
                return await watch.wait(timeout_s)
        raise AssertionError(step)  # pragma: no cover  # these are all

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

    async def _open(self, request: Request, timeout_s: float, streams: AsyncExitStack) -> Answer | Broken:
        raise NotImplementedError

    async def _read(self, timeout_s: float) -> bytes | Broken | None:
        raise NotImplementedError
