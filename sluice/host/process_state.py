"""What belongs to a whole process and a handler can change: how each is read, and how it is written again."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures.thread
import decimal
import faulthandler
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from sluice.core.runtime.loggers import enable, enabled_loggers
from sluice.host.environment import Environment
from sluice.host.high_fd import copy_high
from sluice.host.kept_open import NAMES

Row = tuple[Callable[[], Any], Callable[[Any], object]]
"""How something is read, and how it is written."""

Remembered = list[tuple[Callable[[Any], object], Any]]
"""How something is written, and its value."""


LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})


def remember() -> Remembered:
    """Read everything."""
    remembered: Remembered = []
    for read, write in (*_rows_of_system(), *_rows_of_python()):
        with suppress(OSError):  # a directory that is gone, a descriptor that is closed
            remembered.append((write, read()))
    return remembered


def remember_standard_files() -> Callable[[], None]:
    """Return a function that opens stdin, stdout and stderr again where they were closed or replaced."""
    rows = [_standard_fd(fd) for fd in (0, 1, 2)]
    remembered = [(write, read()) for read, write in rows]

    def restore() -> None:
        for write, value in remembered:
            with suppress(OSError):
                write(value)

    return restore


def remember_import_path() -> Callable[[], None]:
    """Return a function by which modules are found where they are now."""
    found: tuple[list[Any], ...] = sys.path, sys.meta_path, sys.path_hooks
    lists = [(each, list(each)) for each in found]

    def restore() -> None:
        for each, values in lists:
            each[:] = values

    return restore


def _rows_of_system() -> Iterator[Row]:
    yield from (_standard_fd(fd) for fd in (0, 1, 2))
    yield os.getcwd, os.chdir
    yield _read_umask, os.umask
    yield Environment, Environment.restore
    yield _read_limits, _write_limits
    yield partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)
    yield faulthandler.is_enabled, _write_faulthandler
    if sys.platform == "linux":
        yield partial(os.sched_getaffinity, 0), partial(os.sched_setaffinity, 0)


def _rows_of_python() -> Iterator[Row]:
    yield partial(dict, sys.modules), sys.modules.update
    for module in (builtins, os, signal, time):  # what programs replace most, if any
        yield partial(dict, vars(module)), vars(module).update
    yield sys.getrecursionlimit, sys.setrecursionlimit
    yield sys.getswitchinterval, sys.setswitchinterval
    yield sys.get_int_max_str_digits, sys.set_int_max_str_digits
    yield gc.isenabled, lambda on: (gc.enable if on else gc.disable)()
    yield gc.get_threshold, lambda values: gc.set_threshold(*values)
    yield gc.get_debug, gc.set_debug
    yield sys.gettrace, sys.settrace
    yield sys.getprofile, sys.setprofile
    yield threading.gettrace, threading.settrace
    yield threading.getprofile, threading.setprofile
    yield threading.stack_size, threading.stack_size
    yield decimal.getcontext().copy, lambda context: decimal.setcontext(context.copy())
    yield socket.getdefaulttimeout, socket.setdefaulttimeout
    yield lambda: type(asyncio.get_event_loop_policy()), lambda kind: asyncio.set_event_loop_policy(kind())
    yield lambda: logging.root.level, logging.root.setLevel
    yield lambda: logging.root.manager.disable, logging.disable
    yield enabled_loggers, enable
    yield logging.getLogRecordFactory, logging.setLogRecordFactory
    yield from map(_list, _lists())
    for stream in NAMES:
        yield from (_attribute(sys, stream), _attribute(sys, f"__{stream}__"))
    yield from (_attribute(sys, name) for name in ("argv", "path"))
    yield from (
        _attribute(sys, name) for name in ("displayhook", "excepthook", "unraisablehook", "breakpointhook")
    )
    yield _attribute(threading, "excepthook")
    yield _attribute(concurrent.futures.thread, "_shutdown")
    yield asyncio._get_running_loop, asyncio._set_running_loop
    yield _attribute(tempfile, "tempdir")


def _lists() -> list[list[Any]]:
    filters = [each.filters for each in (logging.root, *logging.root.handlers)]
    return [
        sys.path, sys.meta_path, sys.path_hooks, sys.argv, gc.callbacks, logging.root.handlers, *filters
    ]  # fmt: skip


def _attribute(place: object, name: str) -> Row:
    return partial(getattr, place, name), partial(setattr, place, name)


def _list(values: list[Any]) -> Row:
    return partial(list, values), partial(values.__setitem__, slice(None))


def _standard_fd(fd: int) -> Row:
    return partial(copy_high, fd), partial(_write_standard_fd, fd)


def _write_standard_fd(fd: int, copy: int) -> None:
    try:
        is_as_it_was = os.path.sameopenfile(fd, copy)
    except OSError:
        is_as_it_was = False
    if not is_as_it_was:
        os.dup2(copy, fd)


def _read_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def hard_limits() -> list[int]:
    """Return the limits that only a privileged process may raise."""
    return [resource.getrlimit(which)[1] for which in LIMITS]


def _read_limits() -> dict[int, tuple[int, int]]:
    return {which: resource.getrlimit(which) for which in LIMITS}


def _write_limits(limits: dict[int, tuple[int, int]]) -> None:
    for which, values in limits.items():
        if resource.getrlimit(which) != values:
            with suppress(OSError, ValueError):
                resource.setrlimit(which, values)


def _write_faulthandler(enabled: bool) -> None:
    faulthandler.cancel_dump_traceback_later()
    if enabled and not faulthandler.is_enabled():
        faulthandler.enable(2)
