"""Which errors may have been raised by what a job has left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from threading import Event, Thread
from time import monotonic

import pytest

from sluice.errors import BadInput, GiveUp, RetryLater
from sluice.host.left_behind import LeftBehind


@pytest.fixture(autouse=True)
def _without_the_timer_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.host.left_behind._may_fire", lambda *_: False)


@pytest.fixture
def left_behind() -> Iterator[LeftBehind]:
    """Watch this process, in which one more thread has been started since."""
    left, over = LeftBehind(), Event()
    left.count_own()
    thread = Thread(target=over.wait)
    thread.start()
    yield left
    over.set()
    thread.join()


def chained(error: BaseException, cause: BaseException) -> BaseException:
    """Have one error follow from the other."""
    error.__context__ = cause
    return error


CIRCLE = chained(KeyError("a"), KeyError("b"))
chained(CIRCLE.__context__ or CIRCLE, CIRCLE)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(), chained(ValueError("wrong"), TimeoutError())]
)
def test_an_error_without_arguments_may_come_from_a_thread(
    left_behind: LeftBehind, error: BaseException
) -> None:
    assert left_behind.may_have_raised(error, monotonic())


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), SystemExit(3), GiveUp(), RetryLater(1), BadInput(), MemoryError(), CIRCLE]
)
def test_other_errors_are_the_jobs_own(left_behind: LeftBehind, error: BaseException) -> None:
    assert not left_behind.may_have_raised(error, monotonic())


def raised(code: str) -> BaseException:
    """Return what this code raises."""
    try:
        exec(code)  # noqa: S102  the code is the test's own
    except BaseException as error:  # noqa: BLE001  as is the error
        return error
    raise AssertionError("it raised nothing")


def test_what_a_statement_raises_is_the_jobs_own_even_without_arguments(left_behind: LeftBehind) -> None:
    assert not left_behind.may_have_raised(raised("assert False"), monotonic())
    assert not left_behind.may_have_raised(raised("raise TimeoutError"), monotonic())
    assert left_behind.may_have_raised(raised("next(iter(()))"), monotonic())


class Told(TimeoutError):
    """An error that words itself, as that of func_timeout does."""

    def __init__(self, why: str = "it took too long") -> None:
        super().__init__(why)


class Unmakable(Exception):
    """An error that cannot be made of nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)


@pytest.mark.parametrize(
    ("error", "outside"), [(Told(), True), (Told("why"), False), (Unmakable("why"), False)]
)
def test_an_error_with_the_arguments_that_its_class_gives_itself_may_come_from_a_thread(
    left_behind: LeftBehind, error: Exception, outside: bool
) -> None:
    assert left_behind.may_have_raised(error, monotonic()) is outside


def test_what_the_handler_of_a_signal_raises_may_be_anothers(left_behind: LeftBehind) -> None:
    def ring(*_: object) -> None:
        raise TimeoutError("it is time")

    before = signal.signal(signal.SIGUSR2, ring)
    try:
        error = raised("import os, signal\nos.kill(os.getpid(), signal.SIGUSR2)")
        assert left_behind.may_have_raised(error, monotonic())
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert not left_behind.may_have_raised(error, monotonic())


def test_an_error_whose_attributes_raise_can_be_judged(left_behind: LeftBehind) -> None:
    class Odd(Exception):
        @property
        def args(self) -> tuple[object, ...]:  # type: ignore[override]  # that is what is odd
            raise MemoryError

        __context__ = args  # type: ignore[assignment]  # as above

    assert left_behind.may_have_raised(Odd(), monotonic())


def test_without_threads_but_the_hosts_own_every_error_is_the_jobs_own() -> None:
    left = LeftBehind()
    left.count_own()
    assert not left.may_have_raised(KeyboardInterrupt(), monotonic())


def test_a_thread_of_the_hosts_own_that_was_ended_hides_no_other() -> None:
    left, over = LeftBehind(), Event()
    left.count_own()
    own = Thread(target=left.add_current)
    own.start()
    own.join()
    thread = Thread(target=over.wait)
    thread.start()
    assert left.may_have_raised(KeyboardInterrupt(), monotonic())
    over.set()
    thread.join()


def test_what_a_thread_that_has_ended_has_raised_in_one_that_slept_is_not_its_own() -> None:
    left, over, since = LeftBehind(), Event(), monotonic()
    left.count_own()
    thread = Thread(target=over.wait)
    thread.start()
    left.look()
    over.set()
    thread.join()
    assert left.may_have_raised(SystemExit(), since)
    assert not left.may_have_raised(SystemExit(), monotonic())
