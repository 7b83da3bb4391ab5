"""What both clients have in common: where the server is, who asks, how often to try, and the jobs that are waited for."""

from __future__ import annotations

import math
import platform
import random
import sys
import time
from collections.abc import Callable
from typing import Generic

from sluice import __version__
from sluice.client.config import Config
from sluice.client.documents import JobDocument
from sluice.client.job import J
from sluice.client.plan import Answer, Request
from sluice.client.sending import Deadline, Retries, advice_s
from sluice.client.watching import Watching

ANSWER_S = 15.0
"""How long a request may take that the server is not asked to hold."""
WAIT_CAP_S = 55.0
"""How long the server is asked to hold an answer, at most."""
USER_AGENT = f"sluice-jobs/{__version__} python/{platform.python_version()}"


class Core(Generic[J]):
    """The state of a client. `handle` makes the handle of a job for its first document, or for its id alone."""

    def __init__(
        self, config: Config, handle: Callable[[str, JobDocument | None], J], retries: Retries
    ) -> None:
        self.config, self.handle, self.retries = config, handle, retries
        self.clock: Callable[[], float] = time.monotonic
        self.random: Callable[[], float] = random.random
        self.answer_s = ANSWER_S
        self.direct: set[object] = set()
        """A token for each wait that asks for its one job by itself."""
        self.watching: Watching[J] = Watching(self)
        self.sees_results = False
        """Whether the key was seen to be shown results; only then a result of null is one."""

    def deadline(self, timeout: float | None) -> Deadline:
        """Return the moment that is so many seconds ahead; without them there is none. Raises ValueError if they are no such number."""
        if timeout is None:
            return Deadline(self.clock)
        if not timeout >= 0:
            raise ValueError(f"timeout is a number of seconds from 0 on, not {timeout!r}")
        return Deadline(self.clock, self.clock() + timeout if math.isfinite(timeout) else math.inf)

    def advised_s(self, answer: Answer) -> float:
        """Return after how many seconds to ask again: what the server says, at least one, and a little more at random."""
        return max(advice_s(answer.headers) or 1.0, 1.0) * (1 + 0.1 * self.random())

    def headers(self, request: Request) -> dict[str, str]:
        """Return the headers to send with a request."""
        headers = {"Authorization": f"Bearer {self.config.key}"} if self.config.key else {}
        headers |= {
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **request.headers,
        }
        trace_context(headers)
        return headers


def trace_context(headers: dict[str, str]) -> None:
    """Pass the context of OpenTelemetry on. There can be one only if the program has imported it already."""
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry import propagate

        propagate.inject(headers)
