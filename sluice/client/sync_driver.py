"""Carries plans out by blocking."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
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


class SyncDriver:
    """Sends with an HTTP client of its own, which is made anew in a process that was forked."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._clients: dict[tuple[int, bool], httpx2.Client] = {}
        self._closed = False

    def close(self) -> None:
        """Close what is open. Whoever waits is told so."""
        self._closed = True
        for (pid, _), client in list(self._clients.items()):
            if pid == os.getpid():
                client.close()
        self._clients.clear()

    def run(self, plan: Plan[T]) -> T:
        """Carry out a plan that emits nothing, and return its result."""
        steps = self.iterate(plan)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T

    def iterate(self, plan: Plan[T], inputs: Iterator[Any] | None = None) -> Generator[Any, None, T]:
        """Carry out a plan, and yield what it emits. The stream that it has opened ends with it."""
        came: Any = None
        with ExitStack() as streams:
            try:
                while True:
                    step = plan.send(came)
                    came = None
                    if isinstance(step, Emit):
                        yield step.value
                    elif isinstance(step, Pull):
                        came = next(inputs, END) if inputs is not None else END
                    else:
                        came = self._take(step, streams)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T
            finally:
                plan.close()

    def _take(self, step: Step, streams: ExitStack) -> Any:
        if self._closed:
            raise ClientClosed
        match step:
            case Send(request, timeout_s):
                return self._send(request, timeout_s)
            case Pause(seconds):
                return time.sleep(seconds)
            case Open(request, timeout_s):
                streams.close()
                return self._open(request, timeout_s, streams)
            case Read(timeout_s):
                return self._read(timeout_s)
            case Attend(watch, timeout_s):
                return watch.wait(timeout_s)
        raise AssertionError(step)  # pragma: no cover  # these are all

    def _client(self, streams: bool = False) -> httpx2.Client:
        place = os.getpid(), streams
        client = self._clients.get(place)
        if client is None:
            client = self._clients.setdefault(place, httpx2.Client(**options(self._core.config, streams)))
        return client

    def _send(self, request: Request, timeout_s: float) -> Answer | Broken:
        until = time.monotonic() + timeout_s
        try:
            with self._started(self._client(), request, timeout_s) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise BadAnswer(f"The answer has more than {MOST_BYTES} bytes.")
                    if time.monotonic() > until:
                        return Broken(f"the answer was not there in {timeout_s:.0f} s", sent=True)
                return Answer(response.status_code, headers_of(response), bytes(body))
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            return Broken(f"{type(error).__name__}: {error}", is_sent(error))

    def _started(
        self, client: httpx2.Client, request: Request, timeout_s: float
    ) -> AbstractContextManager[httpx2.Response]:
        return client.stream(
            request.method,
            self._core.config.url + request.path,
            headers=self._core.headers(request),
            content=request.body,
            timeout=timeouts(timeout_s),
        )

    def _open(self, request: Request, timeout_s: float, streams: ExitStack) -> Answer | Broken:
        raise NotImplementedError

    def _read(self, timeout_s: float) -> bytes | Broken | None:
        raise NotImplementedError
