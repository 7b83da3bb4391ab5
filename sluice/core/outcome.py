"""Judge an attempt: turn the ending of a handler into the transition that records it."""

from __future__ import annotations

import resource
from errno import EBADF, EMFILE, ENFILE
from random import Random

from sluice.core import lifecycle
from sluice.core.exception_groups import chain, describe_causes, drop_frames, unwrap
from sluice.core.job import Job
from sluice.core.lifecycle import Failure, Transition
from sluice.error_text import MOST_NAME, MOST_TEXT, storable, trace_of, type_name, words
from sluice.errors import AttemptEnded, BadInput, BadOutput, GiveUp, RetryLater
from sluice.retry import RetryPolicy


class TimedOut(AttemptEnded):
    """The time limit was reached and the work was stopped."""


class ChildDied(AttemptEnded):
    """The process that ran the handler died."""


class OutOfMemory(AttemptEnded):
    """The handler needed more memory than its process may have."""


class Released(AttemptEnded):
    """The consumer gives the job back: it is stopping, or its lease is over and another may hold the job by now."""


class HandlerFailed(Exception):
    """An exception that a handler raised, as text: its type, its message, its traceback."""

    def __init__(self, title: str, detail: str, trace: str) -> None:
        super().__init__(detail)
        self.title = title
        self.trace = trace


class ImportFailed(HandlerFailed):
    """An import that failed in a handler, and would fail again."""


class FilesGone(HandlerFailed):
    """An error for want of a file descriptor: other work in the same process may have them all, or have closed it."""


Ending = bytes | BaseException
"""The output as JSON bytes, or the exception that ended the attempt."""


def judge(job: Job, ending: Ending, policy: RetryPolicy, rng: Random) -> Transition:
    """Choose the transition that records this ending."""
    match plain_ending(ending):
        case bytes() as result:
            return lifecycle.succeeded(job, result)
        case Released():
            return lifecycle.released(job)
        case RetryLater() as later:
            return lifecycle.postponed(job, later.after_s, later.why)
        case ChildDied() as death:
            return lifecycle.crashed(job, describe(death, retryable=True))
        case error if _is_final(job, error):
            return lifecycle.failed(job, describe(error))
        case error:
            return lifecycle.retried(job, describe(error, retryable=True), policy.delay_s(job.attempt, rng))


def plain_ending(ending: Ending) -> Ending:
    """Read whatever a handler raised, alone or in a group, as an ending that has a meaning, or else as HandlerFailed."""
    if isinstance(ending, bytes):
        return ending
    try:
        return _read_error(ending)
    except BaseException as worse:  # noqa: BLE001  the attributes of an exception are user code, too
        return HandlerFailed(
            type_name(worse), "(the error of the handler could not be read)", trace_of(worse)
        )


def describe(error: BaseException, retryable: bool = False) -> Failure:
    """Describe a plain ending as a client may see it, with the traceback kept apart."""
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
            return Failure("handler-error", type_name(error), words(error), retryable)


def _read_error(error: BaseException) -> BaseException:
    cause = unwrap(error)
    match cause:
        case MemoryError() | RuntimeError() if _lacks_memory(cause):
            drop_frames(error)  # they hold what filled the memory
            return OutOfMemory(_describe_memory_error(cause))
        case RetryLater():
            return RetryLater(cause.after_s, storable(str(cause.why)[:MOST_TEXT]))
        case GiveUp() | AttemptEnded() | HandlerFailed():
            return cause
        case _ if any(map(_lacks_files, chain(cause))):
            return FilesGone(type_name(cause), words(cause), trace_of(error))
        case ImportError():
            return ImportFailed(type_name(cause), _name_module(cause), trace_of(error))
        case BaseExceptionGroup():
            return HandlerFailed(*describe_causes(cause), trace_of(error))
        case _:
            return HandlerFailed(type_name(cause), words(cause), trace_of(error))


def _lacks_memory(error: BaseException) -> bool:
    """Tell lack of memory, also for the stack of a thread, which Python words as it does lack of threads."""
    return isinstance(error, MemoryError) or error.args == ("can't start new thread",)


def _lacks_files(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (EMFILE, ENFILE, EBADF)


def _describe_memory_error(error: BaseException) -> str:
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    bound = "there is" if most == resource.RLIM_INFINITY else f"the {most >> 20} MiB that a process may have"
    return f"It asked for more memory than {bound}. {words(error)}".rstrip()


def _name_module(error: ImportError) -> str:
    text, name = words(error), storable(str(error.name or "")[:MOST_NAME])
    return text if name in text else f"{text} ({name})".lstrip()


def _is_final(job: Job, error: BaseException) -> bool:
    would_fail_again = isinstance(error, GiveUp | BadInput | BadOutput | OutOfMemory | ImportFailed)
    return would_fail_again or job.attempt >= job.max_attempts
