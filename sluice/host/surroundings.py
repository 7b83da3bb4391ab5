"""The surroundings of a job that has a process to itself: every job finds them as the first one did."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has it not; signal.getsignal makes an enum of each answer, which takes ten times as long
import os
import random
import signal
import sys
import threading
import warnings
from contextlib import suppress

from sluice.host.limits import memory_is_short
from sluice.host.process_state import hard_limits, remember

LEAST_REAL_TIME = 32
"""Signals from here on are for what programs like; asking for each of them would take as long as a short job."""


MOST_THREADS = 50
"""More than any library keeps for later; each takes memory and time from the jobs that follow."""


class Surroundings:
    """What a handler can change for the whole process, as it was once the modules had been loaded."""

    def __init__(self) -> None:
        classic = [number for number in signal.valid_signals() if number < LEAST_REAL_TIME]
        self._signals = {number: _signal.getsignal(number) for number in classic}
        self._remembered = remember()
        self._hard_limits, self._identity = hard_limits(), _identity()
        self._keep_warnings()

    @property
    def spoilt(self) -> bool:
        """True after what nobody can undo: a lowered limit that this process may not raise again, another user or another root
        directory, threads that go on, lost memory."""
        return (
            hard_limits() != self._hard_limits
            or _identity() != self._identity
            or threading.active_count() > MOST_THREADS
            or memory_is_short()
        )

    def restore(self) -> None:
        """Restore everything, and seed the random numbers anew."""
        signal.signal(signal.SIGINT, self._signals[signal.SIGINT])
        for write, value in self._remembered:
            try:
                write(value)
            except Exception:  # noqa: BLE001, S112  a directory that is gone, a limit that cannot be raised again
                continue
        self._warnings.__exit__(None, None, None)
        self._keep_warnings()
        with suppress(Exception):  # a job has changed the modules
            _seed()

    def disarm(self) -> None:
        """Let nothing that a job has set up interrupt what follows: no signal, timer or trace function."""
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        sys.settrace(None)
        sys.setprofile(None)
        for number, handler in self._signals.items():
            if handler is not None and _signal.getsignal(number) != handler:
                with suppress(OSError, ValueError):
                    signal.signal(number, handler)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # KeyboardInterrupt would lose a message
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _keep_warnings(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()


def _identity() -> tuple[object, ...]:
    """Return whose process this is, and which root directory it has."""
    root = os.stat("/")  # noqa: PTH116  half the time of a Path, for every job
    return os.getresuid(), os.getresgid(), root.st_dev, root.st_ino


def _seed() -> None:
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
