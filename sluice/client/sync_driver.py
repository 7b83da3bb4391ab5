"""Carries plans out by blocking."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import httpx2

from sluice.client.bounded_network import Network
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
    """What belongs to one process."""

    def __init__(self) -> None:
        self.clients: dict[bool, tuple[httpx2.Client, Network]] = {}
        self.closing = threading.Event()


class SyncDriver:
    """Sends with an HTTP client of its own, which is made anew in a process that was forked."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._places: dict[int, _Place] = {}
        self._closed = False
        core.place, core.start, core.signal = os.getpid, self._start, threading.Event

    def close(self) -> None:
        """Close what is open. Whoever waits is told so, and gets no answer any more."""
        self._closed = True
        self._here.closing.set()
        self._core.watching.close(ClientClosed())
        for client, network in list(self._here.clients.values()):
            network.break_off()
            client.close()
        self._here.clients.clear()

    @property
    def _here(self) -> _Place:
        found = self._places.get(os.getpid())
        return found if found is not None else self._places.setdefault(os.getpid(), _Place())

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
        go_on: Callable[[Any], Step] = plan.send
        came: Any = None
        with SyncStream() as stream:
            try:
                while True:
                    step = go_on(came)
                    go_on, came = plan.send, None
                    if isinstance(step, Emit):
                        yield step.value
                    elif isinstance(step, Pull):
                        came = next(inputs, END) if inputs is not None else END
                    else:
                        try:
                            came = self._take(step, stream)
                        except ClientError as error:
                            go_on, came = plan.throw, error
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the plan's own, of type T
            finally:
                plan.close()

    def _take(self, step: Step, stream: SyncStream) -> Any:
        if self._closed:
            raise ClientClosed
        match step:
            case Send(_, timeout_s):
                return self._attempt(False, timeout_s, lambda client: self._send(client, step))
            case Pause(seconds):
                return self._here.closing.wait(min(seconds, threading.TIMEOUT_MAX))
            case Open(_, timeout_s):
                return self._attempt(True, timeout_s, lambda client: self._open(client, step, stream))
            case Read(timeout_s):
                return self._attempt(True, timeout_s, lambda _: stream.read())
            case Attend(watch, timeout_s):
                return self._attend(watch, timeout_s)
        raise AssertionError(step)

    def _attempt(self, streams: bool, timeout_s: float, act: Callable[[httpx2.Client], T]) -> T | Broken:
        client, network = self._client(streams)
        try:
            with network.bounded(timeout_s):
                return act(client)
        except (httpx2.HTTPError, httpx2.StreamError, RuntimeError) as error:
            if self._closed:  # meanwhile, by another thread
                raise ClientClosed from None
            if isinstance(error, RuntimeError):
                raise
            return Broken(f"{type(error).__name__}: {error}", is_sent(error))

    def _client(self, streams: bool) -> tuple[httpx2.Client, Network]:
        known = self._here.clients
        if streams not in known:
            client = opened(httpx2.Client, self._core.config, streams)
            known.setdefault(streams, (client, Network(client)))
        return known[streams]

    def _send(self, client: httpx2.Client, step: Send) -> Answer:
        with self._started(client, step) as response:
            return Answer(response.status_code, headers_of(response), body_of(response))

    def _open(self, client: httpx2.Client, step: Open, stream: SyncStream) -> Answer:
        response = stream.open(self._started(client, step))
        body = b"" if response.status_code == 200 else body_of(response)
        return Answer(response.status_code, headers_of(response), body)

    def _started(self, client: httpx2.Client, step: Send | Open) -> AbstractContextManager[httpx2.Response]:
        request = step.request
        return client.stream(
            request.method,
            self._core.config.url + request.path,
            headers=self._core.headers(request),
            content=request.body,
            timeout=timeouts(step.timeout_s),
        )

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
        self._chunks = response.iter_raw()
        return response

    def read(self) -> bytes | None:
        """Return the next bytes, None at the end."""
        return next(self._chunks, None)


def body_of(response: httpx2.Response) -> bytes:
    """Read the rest of an answer. Raises BadAnswer if it is larger than any of the API."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise BadAnswer(TOO_LARGE)
    return bytes(body)
