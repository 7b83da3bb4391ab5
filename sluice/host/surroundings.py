"""The surroundings of a job that has a process to itself: every job finds them as the first one did."""

from __future__ import annotations

import decimal
import fcntl
import gc
import locale
import logging
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

HIGH_FD = 400
"""Where copies of stdin, stdout and stderr are kept: what handlers close by number, in a loop, is lower."""

LIMITS = [value for name, value in vars(resource).items() if name.startswith("RLIMIT_")]


class Surroundings:
    """What a handler can change for the whole process, as it was once the modules had been loaded."""

    def __init__(self) -> None:
        self._directory = Path.cwd()
        self._environment = dict(os.environ)
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._locale = locale.setlocale(locale.LC_ALL)
        self._path, self._meta_path = list(sys.path), list(sys.meta_path)
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._recursion, self._switch_s = sys.getrecursionlimit(), sys.getswitchinterval()
        self._collects, self._thresholds = gc.isenabled(), gc.get_threshold()
        self._limits = {which: resource.getrlimit(which) for which in LIMITS}
        self._files = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, HIGH_FD) for number in range(3)]
        self._signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._decimals = decimal.getcontext().copy()

    def restore(self) -> None:
        """Restore everything, and seed the random numbers anew."""
        self._restore_system()
        self._restore_python()
        _seed()

    def _restore_system(self) -> None:
        with suppress(OSError):  # the directory is gone
            os.chdir(self._directory)
        if dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        os.umask(self._umask)
        self._restore_files()
        for which, limit in self._limits.items():
            if resource.getrlimit(which) != limit:
                with suppress(OSError, ValueError):  # only a privileged process may raise what it has lowered
                    resource.setrlimit(which, limit)
        with suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, self._locale)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._signals.items():
            if handler is not None and signal.getsignal(number) is not handler:
                with suppress(OSError, ValueError):
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _restore_files(self) -> None:
        """Open stdin, stdout and stderr again where they were closed, or are other files now."""
        for number, kept in enumerate(self._files):
            try:
                found = os.fstat(number)
            except OSError:
                found = None
            if found is None or not os.path.samestat(found, os.fstat(kept)):
                with suppress(OSError):
                    os.dup2(kept, number)

    def _restore_python(self) -> None:
        sys.path[:], sys.meta_path[:] = self._path, self._meta_path
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.setrecursionlimit(self._recursion)
        sys.setswitchinterval(self._switch_s)
        (gc.enable if self._collects else gc.disable)()
        gc.set_threshold(*self._thresholds)
        sys.settrace(None)
        sys.setprofile(None)
        threading.stack_size(0)
        decimal.setcontext(self._decimals.copy())
        socket.setdefaulttimeout(None)
        tempfile.tempdir = None
        logging.disable(logging.NOTSET)


def _seed() -> None:
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        numpy.random.seed()
