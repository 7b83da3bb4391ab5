"""The surroundings of a job that has a process to itself: every job finds them as the first one did."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path


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
        self._collects = gc.isenabled()
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
        with suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, self._locale)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._signals.items():
            if handler is not None and signal.getsignal(number) is not handler:
                with suppress(OSError, ValueError):
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _restore_python(self) -> None:
        sys.path[:], sys.meta_path[:] = self._path, self._meta_path
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.setrecursionlimit(self._recursion)
        sys.setswitchinterval(self._switch_s)
        (gc.enable if self._collects else gc.disable)()
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
