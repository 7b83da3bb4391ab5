"""Errors of the client. The job that they are about is in `job`, so nothing is lost.

ClientError
├── ApiError            the server refused the request; has the fields of the problem
│   ├── Invalid         422: `flaws` lists what is wrong, and where
│   ├── Unauthorized    401: no valid key
│   ├── Forbidden       403: the key lacks a scope
│   ├── NotFound        404
│   ├── Conflict        409: the state of the job does not allow it
│   ├── JobExpired      410: the job is not kept any more
│   ├── RateLimited     429: `retry_after_s` says when to come again
│   ├── Overloaded      503: more than can be taken just now
│   ├── RecordAway      503: the record, or a copy of it, cannot be reached
│   └── OutcomeUnknown  503: it may or may not have been done
├── ServerAway          there was no answer
├── BadAnswer           the answer is not what the API answers with
├── JobFailed           the job failed; `error` says why
├── JobCancelled        the job was cancelled
├── ResultInvalid       the result is not what `as_` takes
├── WaitTimeout         the time was up before the job had ended
└── ClientClosed        the client was closed meanwhile
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.errors import SluiceError


class ClientError(SluiceError):
    """Something went wrong between this client and Sluice."""

    def __init__(self, message: str | None = None, *, job: Any = None) -> None:
        super().__init__(message)
        self.job: Any = job
        """The handle of the job that it is about, if it is about one."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a request: where, as a stable word, and in a sentence."""

    pointer: str
    code: str
    detail: str

    def __str__(self) -> str:
        place = self.pointer.strip("/").replace("/", ".")
        return f"{place}: {self.detail}" if place else self.detail


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the server refused something (RFC 9457). Decide by `type`; `raw` has the document as it came."""

    type: str
    status: int
    title: str = ""
    detail: str = ""
    flaws: tuple[Flaw, ...] = ()
    request_id: str = ""
    retryable: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        told = "; ".join(str(flaw) for flaw in self.flaws) or self.detail or self.title
        return f"{self.type} ({self.status}): {told}" + (
            f" [request {self.request_id}]" if self.request_id else ""
        )


class ApiError(ClientError):
    """The server refused the request. `problem` has all that it said; `retry_after_s` is when to come again, in seconds, or None."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None, *, job: Any = None) -> None:
        super().__init__(str(problem), job=job)
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def type(self) -> str:
        """The stable word to decide by, such as `job-unknown`."""
        return self.problem.type

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return self.problem.status

    @property
    def request_id(self) -> str:
        """What the server's log knows the request by."""
        return self.problem.request_id


class Invalid(ApiError):
    """The request does not fit."""

    @property
    def flaws(self) -> tuple[Flaw, ...]:
        """What is wrong with it, and where."""
        return self.problem.flaws


class Unauthorized(ApiError):
    """A valid key is needed."""


class Forbidden(ApiError):
    """The key lacks a scope."""


class NotFound(ApiError):
    """There is nothing here."""


class Conflict(ApiError):
    """The present state does not allow it."""


class JobExpired(ApiError):
    """The job is not kept any more."""


class RateLimited(ApiError):
    """More was sent than is taken from this key, tenant or address."""


class Overloaded(ApiError):
    """The server has more to do than it can take."""


class RecordAway(ApiError):
    """The server cannot reach, read or write its record."""


class OutcomeUnknown(ApiError):
    """What was asked for may or may not have been done."""


class ServerAway(ClientError):
    """The server gave no answer."""


class BadAnswer(ClientError):
    """The answer is not what the API answers with."""


class JobFailed(ClientError):
    """The job failed. `error` says why."""

    def __init__(self, error: Any, *, job: Any) -> None:
        super().__init__(f"job {job.id} failed: {error}", job=job)
        self.error = error


class JobCancelled(ClientError):
    """The job was cancelled."""


class ResultInvalid(ClientError):
    """The result is not what `as_` takes."""


class WaitTimeout(ClientError):
    """The time was up before the job had ended. The job goes on. `jobs` has all that were waited for and have not ended."""

    def __init__(self, message: str, *, job: Any, jobs: Sequence[Any] = ()) -> None:
        super().__init__(message, job=job)
        self.jobs = list(jobs) or [job]


class ClientClosed(ClientError):
    """The client is closed."""


BY_TYPE: dict[str, type[ApiError]] = {
    "overloaded": Overloaded,
    "outcome-unknown": OutcomeUnknown,
    "record-away": RecordAway,
    "record-read-only": RecordAway,
    "record-refused": RecordAway,
    "cache-away": RecordAway,
}
BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: JobExpired,
    422: Invalid,
    429: RateLimited,
}


def api_error(problem: Problem, retry_after_s: float | None = None) -> ApiError:
    """Make the error that stands for a problem."""
    kind = BY_TYPE.get(problem.type) or BY_STATUS.get(problem.status, ApiError)
    return kind(problem, retry_after_s)


def _restore(kind: type[ClientError], args: tuple[Any, ...], state: dict[str, Any]) -> ClientError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
