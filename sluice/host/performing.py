"""Call a handler: from the stored input to the output as it is stored."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import orjson

from sluice.context import Context
from sluice.error_text import storable
from sluice.handler import AnyHandler
from sluice.handler_io import read_input
from sluice.host.current_job import JobRef
from sluice.host.log_line import fields_of_job
from sluice.job_logger import JobLogger

PROGRESS_EVERY_S = 0.5


class Request(NamedTuple):
    """A job to run, in the order in which its message carries it. `number` is its consumer's name for this run."""

    number: int
    job_id: str
    kind: str
    attempt: int
    fence: int
    time_limit_s: float
    input: bytes
    traceparent: str = ""

    @property
    def job(self) -> JobRef:
        """The job, as log lines name it."""
        return JobRef(self.job_id, self.kind, self.attempt, self.traceparent[3:35])  # the name of its trace


class Reporter:
    """Sends progress at most twice a second, from any thread, for as long as its job runs; the newest is never lost."""

    __slots__ = ("_newest", "_next", "_send", "ended")

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._next = 0.0
        self._newest: bytes | None = None
        self.ended = False

    def __call__(self, percent: float, note: str) -> None:
        self._newest = orjson.dumps({"percent": percent, "note": storable(note)})
        self.flush()

    def flush(self) -> None:
        """Send what has waited for its turn."""
        now = monotonic()
        if self._newest is not None and now >= self._next and not self.ended:
            self._next = now + PROGRESS_EVERY_S
            newest, self._newest = self._newest, None
            if newest is not None:  # another thread was faster
                self._send(newest)


def call(handler: AnyHandler, request: Request, report: Reporter, stop_asked: Callable[[], bool]) -> Any:
    """Call the handler: its output, or for `async def` the coroutine. Raises BadInput, and what the handler raises."""
    value = read_input(handler, request.input)
    if not handler.takes_context:
        return handler.function(value)
    log = JobLogger(fields_of_job(request.job))
    trace = request.traceparent or None
    context = Context(request.job_id, request.attempt, request.fence, log, report, stop_asked, trace)
    return handler.function(value, context)
