"""Carries plans out by blocking."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
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


class SyncDriver:
    """Sends with an HTTP client of its own, which is made anew in a process that was forked."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._clients: dict[tuple[int, bool], httpx2.Client] = {}
        self._closed = False
        core.watching.start, core.watching.signal = self._start, threading.Event

    def close(self) -> None:
        """Close what is open. Whoever waits is told so."""
        self._closed = True
        self._core.watching.close(ClientClosed())
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
        with SyncStream() as stream:
            try:
                while True:
                    step = plan.send(came)
                    came = None
                    if isinstance(step, Emit):
                        yield step.value
                    elif isinstance(step, Pull):
                        came = next(inputs, END) if inputs is not None else END
                    else:
                        came = self._take(step, stream)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T
            finally:
                plan.close()

    def _take(self, step: Step, stream: SyncStream) -> Any:
        if self._closed:
            raise ClientClosed
        match step:
            case Send(request, timeout_s):
                return self._send(request, timeout_s)
            case Pause(seconds):
                return time.sleep(seconds)
            case Open(request, timeout_s):
                return self._open(request, timeout_s, stream)
            case Read():
                return stream.read()
            case Attend(watch, timeout_s):
                return self._attend(watch, timeout_s)
        raise AssertionError(step)

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

    def _open(self, request: Request, timeout_s: float, stream: SyncStream) -> Answer | Broken:
        try:
            response = stream.open(self._started(self._client(streams=True), request, timeout_s))
            body = b"" if response.status_code == 200 else response.read()[:MOST_BYTES]
            return Answer(response.status_code, headers_of(response), body)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            return Broken(f"{type(error).__name__}: {error}", is_sent(error))

    def _attend(self, watch: Watch[Any], timeout_s: float) -> None:
        watch.signal.wait(min(timeout_s, threading.TIMEOUT_MAX))
        watch.signal.clear()

    def _start(self, plan: Plan[None]) -> None:
        threading.Thread(target=self._watch_over, args=(plan,), name="sluice-client", daemon=True).start()

    def _watch_over(self, plan: Plan[None]) -> None:
        try:
            self.run(plan)
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait have to hear of it
            self._core.watching.close(told(error))


class SyncStream:
    """An answer that comes bit by bit, if one was opened."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._chunks: Iterator[bytes] = iter(())

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, started: AbstractContextManager[httpx2.Response]) -> httpx2.Response:
        """Begin this answer, and end the one before."""
        self._stack.close()
        response = self._stack.enter_context(started)
        self._chunks = response.iter_bytes()
        return response

    def read(self) -> bytes | Broken | None:
        """Return the next bytes, None at the end."""
        try:
            return next(self._chunks, None)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            return Broken(f"{type(error).__name__}: {error}", sent=True)
