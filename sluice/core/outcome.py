"""Judge an attempt: turn the ending of a handler into the transition that records it."""

from __future__ import annotations

import traceback
from random import Random

from sluice.core import lifecycle
from sluice.core.job import Job
from sluice.core.lifecycle import Failure, Transition
from sluice.errors import AttemptEnded, BadInput, BadOutput, GiveUp, RetryLater
from sluice.retry import RetryPolicy


class TimedOut(AttemptEnded):
    """The time limit was reached and the work was stopped."""


class ChildDied(AttemptEnded):
    """The process that ran the handler died."""


class OutOfMemory(AttemptEnded):
    """The handler needed more memory than its process may have."""


class Released(AttemptEnded):
    """The consumer is stopping and gives the job back."""


class LeaseLost(AttemptEnded):
    """The lease ended: another consumer may hold the job by now."""


class NotRenewed(LeaseLost):
    """The lease could not be renewed in time, though the job had time left: give it back, if it is still ours."""


class HandlerFailed(Exception):
    """An exception that a handler raised in another process, as text: its type, its message, its traceback."""

    def __init__(self, title: str, detail: str, trace: str) -> None:
        super().__init__(detail)
        self.title = title
        self.trace = trace


Ending = bytes | BaseException
"""The output as JSON bytes, or the exception that ended the attempt."""


def judge(job: Job, ending: Ending, policy: RetryPolicy, rng: Random) -> Transition | None:
    """Choose the transition that records this ending, or None if nothing may be written."""
    match ending:
        case bytes():
            return lifecycle.succeeded(job, ending)
        case Released() | NotRenewed():
            return lifecycle.released(job)
        case LeaseLost():
            return None
        case RetryLater():
            return lifecycle.postponed(job, ending.after_s)
        case ChildDied():
            return lifecycle.crashed(job, describe(ending, retryable=True))
        case _ if _is_final(job, ending):
            return lifecycle.failed(job, describe(ending))
        case _:
            return lifecycle.retried(job, describe(ending, retryable=True), policy.delay_s(job.attempt, rng))


def describe(error: BaseException, retryable: bool = False) -> Failure:
    """Describe a failure as a client may see it, with the traceback kept apart."""
    match error:
        case GiveUp():
            return Failure("gave-up", "The handler gave up", words(error))
        case TimedOut():
            return Failure("timed-out", "The time limit was reached", words(error), retryable)
        case BadInput():
            return Failure("bad-input", "The stored input does not fit the kind", words(error))
        case BadOutput():
            return Failure("bad-output", "The handler returned what cannot be sent", words(error))
        case OutOfMemory():
            return Failure("out-of-memory", "The handler ran out of memory", words(error))
        case ChildDied():
            return lifecycle.WORKER_LOST._replace(detail=words(error), retryable=retryable)
        case HandlerFailed():
            return Failure("handler-error", error.title, words(error), retryable, error.trace)
        case _:
            return Failure("handler-error", type(error).__name__, words(error), retryable, trace_of(error))


def words(error: BaseException) -> str:
    """Return the message of an exception, even of one that fails to give it."""
    try:
        return storable(str(error))
    except BaseException as worse:  # noqa: BLE001  the __str__ of an exception is user code, and may even exit
        return f"(its message could not be read: {type(worse).__name__})"


def trace_of(error: BaseException) -> str:
    """Format the traceback; long ones keep their end, where the cause is."""
    return storable("".join(traceback.format_exception(error)))[-20_000:]


def storable(text: str) -> str:
    """Replace what neither JSON nor the record takes: lone surrogates and U+0000."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _is_final(job: Job, error: BaseException) -> bool:
    return isinstance(error, GiveUp | BadInput | BadOutput | OutOfMemory) or job.attempt >= job.max_attempts
