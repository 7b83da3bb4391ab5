"""The surroundings of a job that has a process to itself: every job finds them as the first one did."""

from __future__ import annotations

import os
import random
import sys
import threading
import warnings
from _signal import getsignal as _getsignal  # type: ignore[import-not-found]  # typeshed has it not; signal.getsignal makes an enum of each answer, which takes ten times as long
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from signal import (  # bound now: a job may put something else in their place
    ITIMER_PROF,
    ITIMER_REAL,
    ITIMER_VIRTUAL,
    SIG_IGN,
    SIG_SETMASK,
    SIGINT,
    pthread_sigmask,
    set_wakeup_fd,
    setitimer,
    signal,
    valid_signals,
)
from typing import Any

from sluice.host.limits import memory_is_short
from sluice.host.process_state import hard_limits, remember

MOST_THREADS = 50
"""More than any library keeps for later; each takes memory and time from the jobs that follow."""


class Surroundings:
    """What a handler can change for the whole process, as it was once the modules had been loaded."""

    def __init__(self) -> None:
        self._signals = {number: _getsignal(number) for number in map(int, valid_signals())}
        self._remembered = remember()
        self._hard_limits, self._identity = hard_limits(), _identity()
        self._keep_warnings()
        self._audited = False
        self._note_audit_hooks()

    @property
    def spoilt(self) -> bool:
        """True after what nobody can undo: a lowered limit that this process may not raise again, another user or another root
        directory, an audit hook, threads that go on, lost memory."""
        return (
            self._audited
            or hard_limits() != self._hard_limits
            or _identity() != self._identity
            or threading.active_count() > MOST_THREADS
            or memory_is_short()
        )

    def restore(self) -> None:
        """Restore everything but SIGINT, and seed the random numbers anew."""
        for write, value in self._remembered:
            try:
                write(value)
            except Exception:  # noqa: BLE001, S112  a directory that is gone, a limit that cannot be raised again
                continue
        self._warnings.__exit__(None, None, None)
        self._keep_warnings()
        with suppress(Exception):  # a job has changed the modules
            _seed()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let SIGINT raise KeyboardInterrupt inside the block, and nowhere else."""
        try:
            signal(SIGINT, self._signals[SIGINT])
            yield
        finally:
            signal(SIGINT, SIG_IGN)

    def disarm(self) -> None:
        """Let nothing that a job has set up interrupt what follows: no signal, timer or trace function."""
        for timer in (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF):
            setitimer(timer, 0)
        sys.settrace(None)
        sys.setprofile(None)
        for number, handler in self._signals.items():
            if handler is not None and _getsignal(number) != handler:
                with suppress(OSError, ValueError):
                    signal(number, handler)
        signal(SIGINT, SIG_IGN)  # KeyboardInterrupt would lose a message
        set_wakeup_fd(-1)
        pthread_sigmask(SIG_SETMASK, ())

    def _note_audit_hooks(self) -> None:
        add = sys.addaudithook

        def note(hook: Callable[[str, tuple[Any, ...]], Any]) -> None:
            self._audited = True
            add(hook)

        sys.addaudithook = note

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
