"""What jobs have left behind in their host: threads and timers that go on, and may raise an error in a job that comes later."""

from __future__ import annotations

from _thread import _count as count_threads  # of every thread of Python's; `threading` knows only its own
from collections.abc import Callable, Iterator
from opcode import opmap
from pathlib import Path
from signal import ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, getitimer
from threading import Thread, current_thread
from threading import enumerate as enumerate_threads
from time import monotonic

from sluice.errors import AttemptEnded, GiveUp, RetryLater

TIMERS = Path("/proc/self/timers")
MEANT = (AttemptEnded, GiveUp, RetryLater, MemoryError)
"""Errors that nothing raises in the midst of other code, or that are tried elsewhere anyway."""

_context_of: Callable[[BaseException], BaseException | None] = vars(BaseException)["__context__"].__get__
_arguments_of: Callable[[BaseException], tuple[object, ...]] = vars(BaseException)["args"].__get__
"""Read what is there, whatever a class has put in its place."""

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
        if count_threads() > self._raw + len(self._own) or any(
            map(_runs, (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF))
        ):
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
        if not any(map(_may_come_from_outside, _chain(error))):
            return False
        self.look_closely()
        return self._seen >= since


def _runs(timer: int) -> bool:
    return getitimer(timer)[0] > 0


def _has_timers() -> bool:
    """Tell whether this process has timers that Python knows nothing about: see timer_create(2)."""
    try:
        return bool(TIMERS.read_bytes())
    except OSError:  # another system
        return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it followed from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = _context_of(cause)


def _may_come_from_outside(error: BaseException) -> bool:
    """Tell whether another thread or a signal may have raised this: no statement has, and it has no arguments or could not be
    raised where it was.

    Source: PyThreadState_SetAsyncExc and default_int_handler of CPython, which raise a class.
    """
    if issubclass(type(error), MEANT):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti] if trace is not None else -1
    has_arguments = bool(_arguments_of(error))
    return instruction in HARMLESS if has_arguments else instruction not in RAISING
