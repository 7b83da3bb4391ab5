"""Exit statuses and sentences for errors of the client."""

from __future__ import annotations

from sluice.cli.formats import printable
from sluice.cli.statuses import (
    AWAY,
    CANCELLED,
    FAILED,
    NOT_ALLOWED,
    NOT_FOUND,
    OVERLOADED,
    REFUSED,
    TIMED_OUT,
)
from sluice.client.errors import (
    ApiError,
    ClientError,
    Forbidden,
    JobCancelled,
    JobExpired,
    JobFailed,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthorized,
    WaitTimeout,
)

_BY_CLASS: tuple[tuple[type[ClientError], int], ...] = (
    (JobFailed, FAILED),
    (JobCancelled, CANCELLED),
    (WaitTimeout, TIMED_OUT),
    (NotFound, NOT_FOUND),
    (JobExpired, NOT_FOUND),
    (Unauthorized, NOT_ALLOWED),
    (Forbidden, NOT_ALLOWED),
    (RateLimited, OVERLOADED),
    (Overloaded, OVERLOADED),
)
_OF_STATES = {"succeeded": 0, "failed": FAILED, "cancelled": CANCELLED}
_ENDED_OTHERWISE = {"job-failed": FAILED, "job-cancelled": CANCELLED}
_OWN_FAULT = 500
"""Statuses from here on are not the client's doing."""


def status_of(error: ClientError) -> int:
    """Return the exit status for an error."""
    for kind, status in _BY_CLASS:
        if isinstance(error, kind):
            return status
    if isinstance(error, ApiError):
        return _ENDED_OTHERWISE.get(error.type, REFUSED if error.status < _OWN_FAULT else AWAY)
    return AWAY


def status_of_state(state: str) -> int:
    """Return the exit status for how a job has ended; an end that this release does not know is none of an answer it can read."""
    return _OF_STATES.get(state, AWAY)


def describe(error: ClientError) -> str:
    """Say what went wrong in lines for stderr; what a job has written into them is shown as text and nothing else."""
    if isinstance(error, ApiError) and error.problem.flaws:
        told = [f"{error.type}: {flaw}" for flaw in error.problem.flaws]
    else:
        told = str(error).splitlines() or [type(error).__name__]
    return "\n".join(f"sluice: {printable(line)}" for line in told)
