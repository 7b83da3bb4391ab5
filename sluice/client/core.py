"""What both clients have in common: where the server is, who asks, how often to try, and the jobs that are waited for."""

from __future__ import annotations

import math
import platform
import random
import sys
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic

from sluice import __version__
from sluice.client.config import Config
from sluice.client.documents import JobDocument
from sluice.client.job import J
from sluice.client.plan import Answer, Plan, Request
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
        self.place: Callable[[], Hashable]
        """Where whoever calls is: what waits in one place cannot wake what waits in another. The driver sets it, and the next two."""
        self.start: Callable[[Plan[None]], None]
        """Has a poller carried out beside the caller."""
        self.signal: Callable[[], Any]
        """Makes an event."""
        self.watchings: dict[Any, Watching[J]] = {}
        self.sees_results = False
        """Whether the key was seen to be shown results; only then a result of null is one."""

    @property
    def watching(self) -> Watching[J]:
        """The jobs that are waited for here, in this process or event loop."""
        place = self.place()
        found = self.watchings.get(place)
        return found if found is not None else self.watchings.setdefault(place, Watching(self))

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
            "Accept-Encoding": "identity",  # answers are read as they come: a few bytes could unfold into any number
            **request.headers,
        }
        trace_context(headers)
        return headers


def trace_context(headers: dict[str, str]) -> None:
    """Pass the context of OpenTelemetry on. There can be one only if the program has imported it already."""
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry import propagate

        propagate.inject(headers)
