"""Send a request until it is answered: which failures are worth another try, when, and how often."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sluice.client.documents import read_problem
from sluice.client.errors import (
    ApiError,
    BadAnswer,
    ClientError,
    OutcomeUnknown,
    Problem,
    ServerAway,
    api_error,
)
from sluice.client.plan import Answer, Broken, Open, Pause, Plan, Request, Send

if TYPE_CHECKING:
    from sluice.client.core import Core
    from sluice.client.job import JobHandle

T = TypeVar("T")

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
NOTHING_DONE = frozenset({408, 429})
"""Statuses of requests that came to nothing, whoever answers. Of 503 only our own server says so."""
LONGEST_ADVICE_S = 3_600.0
GRACE_S = 0.5
"""How long after the caller's deadline an answer may still come that the server was to send just before."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is sent, for how many seconds after its first failure, and the bounds of the pauses between, in seconds."""

    tries: int = 5
    budget_s: float = 30.0
    first_s: float = 0.25
    longest_s: float = 8.0

    def longest_pause_s(self, tried: int) -> float:
        """Return the most that a pause takes after so many tries, if the server says nothing."""
        return min(self.longest_s, self.first_s * 2.0 ** min(tried, 64))


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment until which a whole call may take, by the clock of the core."""

    clock: Callable[[], float]
    at: float = math.inf

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.at - self.clock())

    @property
    def over(self) -> bool:
        """Whether none is left."""
        return self.clock() >= self.at


def send(core: Core[Any], request: Request, deadline: Deadline | None = None) -> Plan[Answer]:
    """Send a request, again if that is safe and worth it, and return the answer. Raises ApiError, ServerAway."""
    return (yield from _repeat(core, request, deadline or core.deadline(None), Send))


def open_stream(core: Core[Any], request: Request, deadline: Deadline) -> Plan[Answer]:
    """Send a request whose answer is to be read bit by bit. Raises ApiError, ServerAway."""
    return (yield from _repeat(core, request, deadline, Open))


def _repeat(
    core: Core[Any], request: Request, deadline: Deadline, step: type[Send] | type[Open]
) -> Plan[Answer]:
    give_up_at = math.inf
    tried = 0
    while True:
        tried += 1
        timeout_s = min(request.wait_s + core.answer_s, deadline.left_s + GRACE_S)
        answer = yield step(request, timeout_s)
        if isinstance(answer, Answer) and (answer.status < 300 or answer.status == 304):
            return answer
        error = failure(answer, core.config.url)
        now = core.clock()
        give_up_at = min(give_up_at, now + core.retries.budget_s)
        if tried >= core.retries.tries or not worth_repeating(request, answer, error):
            raise error
        pause_s = _pause(core, tried, error)
        if now + pause_s > min(give_up_at, deadline.at):
            raise error
        yield Pause(pause_s)


def failure(answer: Answer | Broken, url: str) -> ClientError:
    """Return the error that an answer, or the lack of one, stands for."""
    if isinstance(answer, Broken):
        return ServerAway(f"The server at {url} gave no answer: {answer.why}")
    try:
        problem = read_problem(json.loads(answer.body), answer.status)
    except (ValueError, TypeError, RecursionError, BadAnswer):
        text = answer.body[:200].decode("utf-8", "replace")
        problem = Problem("http-error", answer.status, f"The answer has the status {answer.status}", text)
    return api_error(problem, advice_s(answer.headers))


def worth_repeating(request: Request, answer: Answer | Broken, error: ClientError) -> bool:
    """Tell whether the same request may succeed, and can do no harm, when it is sent again."""
    if isinstance(answer, Broken):
        return request.repeatable or not answer.sent
    told = error.problem.retryable if isinstance(error, ApiError) else None
    transient = answer.status in TRANSIENT if told is None else told is True
    nothing_done = answer.status in NOTHING_DONE or (
        answer.status == 503 and told is True and not isinstance(error, OutcomeUnknown)
    )
    return transient and (request.repeatable or nothing_done)


def advice_s(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server says to wait (RFC 9110, Retry-After), or None."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit() and len(given) < 10:
        return min(float(given), LONGEST_ADVICE_S)
    try:
        at, now = parsedate_to_datetime(given), parsedate_to_datetime(headers.get("date", ""))
        return min(max(0.0, (at - now).total_seconds()), LONGEST_ADVICE_S)
    except (ValueError, TypeError, ArithmeticError, LookupError):
        return None


def _pause(core: Core[Any], tried: int, error: ClientError) -> float:
    """Return how long to wait: what the server says, and a little more at random; without that, anything up to a growing bound."""
    longest = core.retries.longest_pause_s(tried)
    told = error.retry_after_s if isinstance(error, ApiError) else None
    if told is None:
        return core.random() * longest
    return told + core.random() * min(max(told * 0.2, core.retries.first_s), longest)


def read(reader: Callable[[Any], T], answer: Answer | bytes) -> T:
    """Read the JSON of an answer. Raises BadAnswer, whatever is wrong with it."""
    body = answer.body if isinstance(answer, Answer) else answer
    try:
        return reader(json.loads(body))
    except BadAnswer:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
        if isinstance(answer, Answer) and "content-encoding" in answer.headers:
            raise BadAnswer("The answer is compressed, though it was asked not to be.") from None
        raise BadAnswer(f"The answer cannot be read: {type(error).__name__}: {str(error)[:200]}") from None


@contextmanager
def about(job: JobHandle) -> Iterator[None]:
    """Name the job on every error of the client that ends the block."""
    try:
        yield
    except ClientError as error:
        if error.job is None:
            error.job = job
        raise
