"""What jobs have left behind in their host: threads and timers that go on, and may raise an error in a job that comes later."""

from __future__ import annotations

from _signal import getsignal  # type: ignore[import-not-found]  # typeshed has it not; that of `signal` takes ten times as long
from _thread import _count as count_threads  # of every thread of Python's; `threading` knows only its own
from collections.abc import Callable, Iterator
from opcode import opmap
from pathlib import Path
from signal import (
    ITIMER_PROF,
    ITIMER_REAL,
    ITIMER_VIRTUAL,
    SIGALRM,
    SIGPROF,
    SIGVTALRM,
    getitimer,
    valid_signals,
)
from threading import Thread, current_thread
from threading import enumerate as enumerate_threads
from time import monotonic
from types import TracebackType

from sluice.core.exception_groups import chain
from sluice.errors import AttemptEnded, GiveUp, RetryLater

TIMERS = Path("/proc/self/timers")
MEANT = (AttemptEnded, GiveUp, RetryLater, MemoryError)
"""Errors that nothing raises in the midst of other code, or that are tried elsewhere anyway."""

SIGNALS, INTERVAL_TIMERS = (SIGALRM, SIGVTALRM, SIGPROF), (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF)
"""A timer whose signal nobody handles raises nothing: it ends the process, or does nothing."""

_arguments_of: Callable[[BaseException], tuple[object, ...]] = vars(BaseException)["args"].__get__
"""Reads what is there, whatever a class has put in its place."""

RAISING = {opmap["RAISE_VARARGS"], opmap["RERAISE"]}
HARMLESS = {opmap["RESUME"], opmap["JUMP_BACKWARD"]}
"""Instructions that raise nothing themselves; after them CPython looks for what others have raised."""


class LeftBehind:
    """Tells whether something that goes on in this process may have raised an error. Threads of modules count as the host's own."""

    def __init__(self) -> None:
        self._own: set[Thread] = set()
        self._raw = 0
        self._seen = 0.0

    def count_own(self) -> None:
        """Count every thread that there is as the host's own."""
        self._own |= set(enumerate_threads())
        self._raw = count_threads() - len(self._own)

    def add_current(self) -> None:
        """Count the thread that calls this as the host's own."""
        self._own.add(current_thread())

    def look(self) -> None:
        """Look for threads and timers of jobs. Cheap; threads of the host's own that have ended may hide some."""
        if count_threads() > self._raw + len(self._own) or any(map(_may_fire, SIGNALS, INTERVAL_TIMERS)):
            self._seen = monotonic()

    def look_closely(self) -> None:
        """Look for threads and timers of jobs."""
        self._own -= {thread for thread in tuple(self._own) if not thread.is_alive()}
        self.look()
        if _has_timers():
            self._seen = monotonic()

    def may_have_raised(self, error: BaseException, since: float) -> bool:
        """Tell whether an error may have come from a thread or timer of a job that was there at some time since then (monotonic).

        What a thread raises in another that sleeps comes up when that wakes, even if the thread has ended by then.
        """
        if not any(map(_may_come_from_outside, chain(error))):
            return False
        self.look_closely()
        return self._seen >= since


def _may_fire(number: int, timer: int) -> bool:
    """Tell whether a timer runs whose signal has a handler. In this order: only reading the timer is a system call."""
    return callable(getsignal(number)) and getitimer(timer)[0] > 0


def _has_timers() -> bool:
    """Tell whether this process has timers that Python knows nothing about: see timer_create(2)."""
    try:
        return bool(TIMERS.read_bytes())
    except OSError:  # another system
        return False


def _may_come_from_outside(error: BaseException) -> bool:
    """Tell whether another thread or a signal may have raised this: a signal's handler has, or no statement has, and it is as if
    its class alone had been raised, or could not be raised where it was.

    Source: PyThreadState_SetAsyncExc and default_int_handler of CPython, which raise a class.
    """
    if issubclass(type(error), MEANT):
        return False
    frames = [(trace.tb_frame.f_code, trace.tb_lasti) for trace in _traces(error)]
    if not {code for code, _ in frames}.isdisjoint(_signal_handlers()):
        return True
    instruction = frames[-1][0].co_code[frames[-1][1]] if frames else -1
    return instruction in HARMLESS or (instruction not in RAISING and _is_bare(error))


def _traces(error: BaseException) -> Iterator[TracebackType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _signal_handlers() -> set[object]:
    """Return the code of what handles signals in Python."""
    handlers = (getsignal(number) for number in map(int, valid_signals()))
    return {code for handler in handlers if (code := getattr(handler, "__code__", None)) is not None}


def _is_bare(error: BaseException) -> bool:
    """Tell whether an error has no arguments, or those that its class gives itself."""
    arguments = _arguments_of(error)
    if not arguments:
        return True
    try:
        return _arguments_of(type(error)()) == arguments
    except BaseException:  # noqa: BLE001  strangers' code
        return False
