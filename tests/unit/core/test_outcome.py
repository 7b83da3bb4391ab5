"""Every ending of an attempt, and the one transition that records it."""

from collections.abc import Callable
from errno import EBADF, EMFILE, ENOENT
from random import Random
from typing import Any

import orjson
import pytest

from sluice.core.error_fingerprint import error_fingerprint
from sluice.core.job import JobState
from sluice.core.lifecycle import Transition
from sluice.core.outcome import (
    ChildDied,
    Ending,
    FilesGone,
    HandlerFailed,
    OutOfMemory,
    Released,
    TimedOut,
    describe,
    judge,
    plain_ending,
)
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater
from sluice.kinds.demo_sum import add_up
from sluice.retry import RetryPolicy
from tests.unit.consumer.make_attempts import a_job


def judged(ending: Ending, **fields: Any) -> Transition:
    """Return the transition that a job with this ending makes."""
    transition = judge(a_job(add_up, fence=3, **fields), ending, RetryPolicy(base_s=4), Random(1))
    assert transition.fence == 3
    return transition


def raised(error: Exception) -> Exception:
    """Raise the exception, and return it with its traceback."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001  any error is the case at hand
        return caught


def in_group(*errors: BaseException) -> BaseException:
    """A raised group, as of an asyncio.TaskGroup."""
    return raised(ExceptionGroup("many", errors))  # type: ignore[type-var]  # all are Exceptions


def problem(transition: Transition) -> Any:
    """Return what a client sees."""
    return orjson.loads(transition.error or b"null")


def test_an_output_is_success() -> None:
    end = judged(b'{"total":1}')
    assert (end.state, end.result, end.outcome, end.error) == ("succeeded", b'{"total":1}', "succeeded", None)


def test_a_release_is_not_counted_and_waits_for_nothing() -> None:
    end = judged(Released(), attempt=5)
    assert (end.state, end.outcome, end.uncounted, end.solo_crash) == (JobState.QUEUED, "released", 1, 0)
    assert end.delay_s is None


def test_later_is_not_counted_and_waits() -> None:
    end = judged(RetryLater(7), attempt=5)
    assert (end.state, end.uncounted, end.delay_s, end.outcome) == (JobState.SCHEDULED, 1, 7, "postponed")
    assert end.error is None


def test_the_reason_to_be_called_later_is_kept_with_the_attempt() -> None:
    told = orjson.loads(judged(RetryLater(7, "not\0now"), attempt=5).error or b"null")
    assert (told["type"], told["detail"], told["attempt"]) == ("postponed", "not\ufffdnow", 5)


def test_an_error_is_tried_again_with_back_off_and_its_traceback_is_kept_apart() -> None:
    end = judged(raised(LookupError("nothing there")))
    assert (end.state, end.uncounted, end.outcome) == (JobState.SCHEDULED, 0, "handler-error")
    assert end.delay_s is not None
    assert 0 <= end.delay_s <= 4
    assert problem(end) == {
        "type": "handler-error",
        "title": "LookupError",
        "detail": "nothing there",
        "retryable": True,
        "attempt": 1,
        "fingerprint": error_fingerprint("demo.sum", "handler-error", "LookupError", "nothing there"),
    }
    assert "test_outcome.py" in (end.traceback or "")


def test_the_last_attempt_fails_for_good() -> None:
    end = judged(LookupError("x"), attempt=5)
    assert (end.state, problem(end)["retryable"], problem(end)["attempt"]) == (JobState.FAILED, False, 5)


@pytest.mark.parametrize(
    ("ending", "word"),
    [
        (GiveUp("no"), "gave-up"),
        (BadInput("no"), "bad-input"),
        (BadOutput("no"), "bad-output"),
        (OutOfMemory("no"), "out-of-memory"),
    ],
)
def test_what_would_fail_again_fails_at_once(ending: Exception, word: str) -> None:
    end = judged(ending)
    assert (end.state, end.outcome, problem(end)["detail"]) == (JobState.FAILED, word, "no")


@pytest.mark.parametrize(("attempt", "state"), [(1, JobState.SCHEDULED), (5, JobState.FAILED)])
def test_a_time_limit_counts_as_a_try(attempt: int, state: JobState) -> None:
    end = judged(TimedOut("too long"), attempt=attempt)
    assert (end.state, end.outcome, problem(end)["detail"]) == (state, "timed-out", "too long")


def test_an_error_in_another_process_keeps_its_message() -> None:
    end = judged(HandlerFailed("Odd", "it is odd", "File x, line 1"))
    assert (problem(end)["title"], problem(end)["detail"]) == ("Odd", "it is odd")
    assert end.traceback == "File x, line 1"


@pytest.mark.parametrize(
    ("crashes", "state", "uncounted"),
    [(0, JobState.QUEUED, 1), (1, JobState.QUEUED, 1), (2, JobState.FAILED, 0)],
)
def test_the_third_crash_of_its_own_process_fails_a_job(
    crashes: int, state: JobState, uncounted: int
) -> None:
    end = judged(ChildDied("It was ended by SIGSEGV."), solo_crashes=crashes)
    assert (end.state, end.uncounted, end.solo_crash, end.outcome) == (state, uncounted, 1, "worker-lost")
    assert problem(end)["retryable"] == (state is JobState.QUEUED)
    assert "SIGSEGV" in problem(end)["detail"]


def test_lack_of_file_descriptors_is_told_apart_and_tried_again() -> None:
    ending = plain_ending(chained(ValueError("no answer"), OSError(EMFILE, "Too many open files")))
    assert isinstance(ending, FilesGone)
    assert (ending.title, str(ending)) == ("ValueError", "no answer")
    assert judged(ending).state is JobState.SCHEDULED
    assert isinstance(plain_ending(OSError(EBADF, "Bad file descriptor")), FilesGone)
    assert not isinstance(plain_ending(OSError(ENOENT, "no such file")), FilesGone)


def chained(error: Exception, cause: Exception) -> Exception:
    """Have one error follow from the other."""
    error.__context__ = cause
    return error


class Mute(Exception):
    """Raises if it is asked for its message."""

    def __str__(self) -> str:
        raise RuntimeError


class Hostile(Exception):
    """Has a message that neither JSON nor the record takes."""

    def __str__(self) -> str:
        return "a\x00b\udce4c" + "x" * 5_000


class Leaving(Exception):
    """Ends the program that asks for its message."""

    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize("error", [Mute(), Hostile(), Leaving(), SystemExit(3), KeyboardInterrupt()])
def test_whatever_is_raised_can_be_recorded(error: BaseException) -> None:
    end = judged(error)
    assert len(problem(end)["detail"]) <= 2_000
    assert "\x00" not in (end.traceback or "")
    (end.traceback or "").encode()


def test_an_exception_without_a_message_says_so() -> None:
    assert problem(judged(Mute()))["detail"] == "(its message could not be read: RuntimeError)"


MANY = [KeyError("a"), IndexError("b")]


@pytest.mark.parametrize(
    "wrap", [lambda error: error, in_group, lambda error: in_group(in_group(error), *MANY)]
)
@pytest.mark.parametrize(
    ("error", "state", "outcome", "attempts"),
    [
        (GiveUp("no such customer"), "failed", "gave-up", 0),
        (RetryLater(7, "not now"), "scheduled", "postponed", 1),
        (MemoryError(), "failed", "out-of-memory", 0),
        (ModuleNotFoundError("No module named 'x'"), "failed", "handler-error", 0),
    ],
)
def test_what_decides_counts_in_a_group_as_if_raised_alone(
    wrap: Callable[[BaseException], BaseException],
    error: BaseException,
    state: str,
    outcome: str,
    attempts: int,
) -> None:
    end = judged(wrap(error))
    assert (end.state, end.outcome, end.uncounted) == (state, outcome, attempts)


def test_an_error_alone_in_a_group_has_the_title_and_the_fingerprint_that_it_has_without() -> None:
    alone, grouped = judged(KeyError("a")), judged(in_group(KeyError("a")))
    assert (grouped.state, grouped.error) == (alone.state, alone.error)
    assert "ExceptionGroup" in (grouped.traceback or "")


def test_groups_of_different_causes_have_different_titles_and_fingerprints() -> None:
    groups = [in_group(*MANY), in_group(MANY[0], ValueError("b")), in_group(*reversed(MANY))]
    seen = [problem(judged(each)) for each in groups]
    assert seen[0] == seen[2]
    assert (seen[0]["title"], seen[0]["detail"]) == ("IndexError, KeyError", "IndexError: b; KeyError: 'a'")
    assert seen[0]["fingerprint"] != seen[1]["fingerprint"]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ModuleNotFoundError("No module named 'x.y'", name="x.y"), "No module named 'x.y'"),
        (ImportError(name="x.y"), "(x.y)"),
        (ImportError("broken", name="x.y"), "broken (x.y)"),
        (ImportError(), ""),
    ],
)
def test_an_import_that_fails_is_not_tried_again_and_names_its_module(
    error: ImportError, detail: str
) -> None:
    end = judged(raised(error))
    told = problem(end)
    assert (end.state, told["type"], told["retryable"]) == (JobState.FAILED, "handler-error", False)
    assert (told["title"], told["detail"]) == (type(error).__name__, detail)
    assert "test_outcome.py" in (end.traceback or "")


def test_lack_of_memory_for_a_thread_is_lack_of_memory() -> None:
    told = problem(judged(raised(RuntimeError("can't start new thread"))))
    assert told["type"] == "out-of-memory"
    assert told["detail"].endswith("can't start new thread")
    assert problem(judged(RuntimeError("can't start")))["type"] == "handler-error"


def test_lack_of_memory_names_the_bound_and_lets_go_of_what_filled_it() -> None:
    error = raised(MemoryError("x"))
    assert problem(judged(in_group(error)))["detail"].startswith("It asked for more memory than ")
    assert error.__traceback__ is None


class Deceiving(RetryLater):
    """Has nothing of what its parent promises."""

    def __init__(self) -> None:
        pass


def test_an_error_that_cannot_be_read_is_an_error() -> None:
    told = problem(judged(Deceiving()))
    assert (told["title"], told["detail"]) == (
        "AttributeError",
        "(the error of the handler could not be read)",
    )


def test_an_ending_that_has_no_meaning_of_its_own_is_described_by_its_type() -> None:
    failure = describe(KeyError("a"), retryable=True)
    assert (failure.type, failure.title, failure.detail) == ("handler-error", "KeyError", "'a'")
