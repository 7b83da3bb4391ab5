"""For tests of programs that use the client: a Sluice without a server, which answers as the test says.

    fake = FakeSluice()
    fake.on("demo.sum", lambda input: {"total": sum(input["values"])})
    fake.on("report.make", fails("gave-up", "no data"), after_s=20)

The client is the real one: it encodes, waits, tries again and raises as ever; only what it sends is answered here, in memory. Its clock
moves on by itself as far as somebody waits, so no test takes longer for it. `AsyncFakeSluice` is the same for AsyncSluice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sluice.client.async_client import AsyncSluice
from sluice.client.async_driver import AsyncDriver, AsyncStream
from sluice.client.core import Core
from sluice.client.fake_server import FakeServer, Submitted, fails
from sluice.client.plan import Answer, Attend, Open, Pause, Plan, Send, Step
from sluice.client.sync_client import Sluice
from sluice.client.sync_driver import SyncDriver, SyncStream

__all__ = ["AsyncFakeSluice", "FakeSluice", "Submitted", "fails"]


class _Steps:
    """Carries out steps in memory. Pollers are carried out by whoever waits for them: nothing runs beside the test."""

    def __init__(self, core: Core[Any], server: FakeServer) -> None:
        self._core, self._server = core, server
        self._pollers: list[tuple[Plan[None], Any]] = []
        core.clock, core.random = (lambda: server.now_s), (lambda: 0.5)
        core.start, core.signal = self._start, threading.Event

    def take(self, step: Step) -> Any:
        """Carry out a step."""
        match step:
            case Send(request, _):
                return self._server.answer(request)
            case Pause(seconds):
                self._server.now_s += seconds
                return None
            case Attend(watch, timeout_s):
                return self._attend(watch, timeout_s)
            case Open(_, _):
                return Answer(
                    404, {}, b'{"type": "not-found"}'
                )  # events are not told: polls take their place
        raise AssertionError(step)

    def _start(self, plan: Plan[None]) -> None:
        self._pollers.append((plan, None))

    def _attend(self, watch: Any, timeout_s: float) -> None:
        self._server.until_s = self._server.now_s + timeout_s
        while not watch.signal.is_set() and self._pollers and self._server.now_s < self._server.until_s:
            plan, came = self._pollers.pop(0)
            try:
                step = plan.send(came)
            except StopIteration:
                continue
            self._pollers.append((plan, self.take(step)))
        if not watch.signal.is_set():
            self._server.now_s = max(
                self._server.now_s, min(self._server.until_s, self._server.now_s + timeout_s)
            )
        self._server.until_s = float("inf")
        watch.signal.clear()


class _SyncFake(SyncDriver):
    def __init__(self, core: Core[Any], server: FakeServer) -> None:
        super().__init__(core)
        self._steps = _Steps(core, server)

    def _take(self, step: Step, stream: SyncStream) -> Any:
        return self._steps.take(step)


class _AsyncFake(AsyncDriver):
    def __init__(self, core: Core[Any], server: FakeServer) -> None:
        super().__init__(core)
        self._steps = _Steps(core, server)

    async def _take(self, step: Step, stream: AsyncStream) -> Any:
        return self._steps.take(step)


class FakeSluice(Sluice):
    """A Sluice without a server. `submitted` has the jobs that were submitted, `now_s` the seconds that have passed for it."""

    def __init__(self) -> None:
        super().__init__("http://fake.invalid", "slc_fake")
        self._server = FakeServer()
        self._driver = _SyncFake(self._core, self._server)
        self._run, self._iterate = self._driver.run, self._driver.iterate

    @property
    def submitted(self) -> list[Submitted]:
        """The jobs that were submitted, in order."""
        return self._server.submitted

    @property
    def now_s(self) -> float:
        """The seconds that have passed."""
        return self._server.now_s

    def on(self, kind: str, outcome: Callable[[Any], Any], *, after_s: float = 0.0) -> None:
        """Say what comes of the jobs of a kind, so many seconds after their submit: a function of the input, or `fails(…)`."""
        self._server.on(kind, outcome, after_s=after_s)

    def answer_next(self, status: int, type: str = "", *, retry_after_s: int | None = None) -> None:
        """Answer the next request that was not named yet with this problem instead, or, with status 0, not at all."""
        self._server.answer_next(status, type, retry_after_s=retry_after_s)


class AsyncFakeSluice(AsyncSluice):
    """An AsyncSluice without a server; otherwise FakeSluice."""

    def __init__(self) -> None:
        super().__init__("http://fake.invalid", "slc_fake")
        self._server = FakeServer()
        self._driver = _AsyncFake(self._core, self._server)
        self._run, self._iterate = self._driver.run, self._driver.iterate

    submitted, now_s, on, answer_next = (
        FakeSluice.submitted,
        FakeSluice.now_s,
        FakeSluice.on,
        FakeSluice.answer_next,
    )
