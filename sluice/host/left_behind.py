"""What jobs have left behind in their host: threads and timers that go on, and may raise an error in a job that comes later."""

from __future__ import annotations

from _thread import _count as count_threads  # of every thread of Python's; `threading` knows only its own
from pathlib import Path
from threading import Thread, current_thread
from time import monotonic

from sluice.errors import AttemptEnded, GiveUp, RetryLater

TIMERS = Path("/proc/self/timers")
MEANT = (AttemptEnded, GiveUp, RetryLater, MemoryError)
"""Errors that nothing raises in the midst of other code, or that are tried elsewhere anyway."""


class LeftBehind:
    """Tells whether something that goes on in this process may have raised an error. Threads of modules count as the host's own."""

    def __init__(self) -> None:
        self._at_start = 0
        self._added: set[Thread] = set()
        self._seen = 0.0

    def count_own(self) -> None:
        """Count every thread that there is as the host's own."""
        self._at_start = count_threads()

    def add_current(self) -> None:
        """Count the thread that calls this as the host's own."""
        self._added.add(current_thread())

    def look(self) -> None:
        """Note whether there are threads of jobs. Cheap; threads of the host's own that another has ended may hide some."""
        if count_threads() > self._at_start + len(self._added):
            self._seen = monotonic()

    def look_closely(self) -> None:
        """Note whether there are threads of jobs, or timers."""
        self._added -= {thread for thread in tuple(self._added) if not thread.is_alive()}
        self.look()
        if _has_timers():
            self._seen = monotonic()

    def may_have_raised(self, error: BaseException, since: float) -> bool:
        """Tell whether an error may have come from a thread or timer of a job that was there at some time since then (monotonic).

        What a thread raises in another that sleeps comes up when that wakes, even if the thread has ended by then.
        """
        if not _may_come_from_outside(error):
            return False
        self.look_closely()
        return self._seen >= since


def _has_timers() -> bool:
    """Tell whether this process has timers that Python knows nothing about: see timer_create(2)."""
    try:
        return bool(TIMERS.read_bytes())
    except OSError:  # another system
        return False


def _may_come_from_outside(error: BaseException) -> bool:
    """Tell whether another thread or a signal may have raised this, or what led to it: such errors have no arguments.

    Source: PyThreadState_SetAsyncExc and default_int_handler of CPython, which raise a class.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if not cause.args and not isinstance(cause, MEANT):
            return True
        seen.add(id(cause))
        cause = cause.__context__
    return False
