"""The main function of a child process: runs one job at a time, at low priority, until the pipe closes.

Everything crosses the pipe as plain values, so that no answer can fail to be read on the other side.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from pythonjsonlogger.orjson import OrjsonFormatter

from consumer.attempt import make_context, progress_json
from sluice.core.outcome import storable, trace_of, words
from sluice.core.registry import Registry, load
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater, SluiceError
from sluice.handler import AnyHandler
from sluice.handler_io import read_input, write_output

NICEST = 19
MOST_OOM_SCORE_ADJ = 1000
PROGRESS_EVERY_S = 0.5
PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>."""


class JobRequest(NamedTuple):
    """A job, as it is sent to the child."""

    kind: str
    job_id: str
    attempt: int
    fence: int
    input: bytes


class ChildMessage(NamedTuple):
    """What the child sends: `begun`, `progress`, `refused` (it cannot work at all), or how the job ended.

    Endings are `output`, `gave-up`, `later`, `bad-input`, `bad-output`, `out-of-memory` and `raised`.
    """

    word: str
    values: tuple[str | bytes | float, ...] = ()


def main(pipe: Connection, modules: Sequence[str], log_level: int, memory_mib: int) -> None:
    """Run the jobs that are sent until the parent closes the pipe."""
    go_to_background()
    limit_memory(memory_mib)
    log_as_json(log_level)
    try:
        registry = load(modules)
    except SluiceError as error:
        pipe.send(tuple(ChildMessage("refused", (words(error),))))
        return
    with suppress(EOFError, OSError):
        while True:
            _run_next(pipe, registry)


def go_to_background() -> None:
    """Run at nice 19, in a process group of its own, and let the parent decide when to end."""
    os.setpriority(os.PRIO_PROCESS, 0, NICEST)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        # a function and not SIG_IGN, which programs started by a handler would inherit
        signal.signal(number, _ignore_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    if sys.platform == "linux":
        _end_with_fork_server()


def _end_with_fork_server() -> None:
    """Have the kernel end this process with the fork server, which ends when the consumer is killed."""
    keeps_it_alive = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_alive_fd", None)
    if keeps_it_alive is not None:
        os.close(keeps_it_alive)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_memory(mib: int) -> None:
    """Limit what this process may allocate (0: no bound), and make it the first that the kernel ends when memory runs out.

    The bound counts memory that can be written to, used or not; what is merely reserved, or shared like libraries, is free.
    """
    with suppress(OSError):  # another system, or a locked one
        Path("/proc/self/oom_score_adj").write_text(str(MOST_OOM_SCORE_ADJ))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = mib << 20
    if most and (hard == resource.RLIM_INFINITY or most < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def log_as_json(level: int) -> None:
    """Write one JSON line per log record to stderr, shaped like those of the parent."""
    lines = logging.StreamHandler()
    names = {"levelname": "level", "name": "logger", "exc_info": "trace"}
    lines.setFormatter(
        OrjsonFormatter("{levelname}{name}{message}", style="{", rename_fields=names, timestamp="at")
    )
    logging.basicConfig(level=level, handlers=[lines], force=True)


def perform(handler: AnyHandler, request: JobRequest, report: Reporter) -> ChildMessage:
    """Run the handler and say how it ended, in plain values."""
    try:
        return ChildMessage("output", (_run_handler(handler, request, report),))
    except GiveUp as end:
        return ChildMessage("gave-up", (words(end),))
    except RetryLater as end:
        return ChildMessage("later", (end.after_s, storable(str(end.why))))
    except BadInput as end:
        return ChildMessage("bad-input", (words(end),))
    except BadOutput as end:
        return ChildMessage("bad-output", (words(end),))
    except MemoryError as end:
        end.__traceback__ = end.__context__ = end.__cause__ = None  # its frames hold what filled the memory
        return ChildMessage("out-of-memory", (_describe_memory_error(end),))
    except BaseException as end:  # noqa: BLE001  sys.exit() in a handler ends the attempt, not the process
        return ChildMessage("raised", (storable(type(end).__name__), words(end), trace_of(end)))


def _run_handler(handler: AnyHandler, request: JobRequest, report: Reporter) -> bytes:
    arguments: list[object] = [read_input(handler, request.input)]
    if handler.takes_context:
        numbers = (request.job_id, request.attempt, request.fence)
        arguments.append(make_context(handler.kind, numbers, report, _never_stopped))
    function: Any = handler.function
    output = function(*arguments)
    return write_output(handler, asyncio.run(output) if handler.runs_in == "loop" else output)


def _describe_memory_error(error: MemoryError) -> str:
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    bound = "there is" if most == resource.RLIM_INFINITY else f"the {most >> 20} MiB that a process may have"
    return f"It asked for more memory than {bound}. {words(error)}".rstrip()


class Reporter:
    """Sends progress at most twice a second, from any thread, for as long as its job runs."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._next = 0.0
        self._ended = False

    def __call__(self, percent: float, note: str) -> None:
        with self._lock:
            if not self._ended and monotonic() >= self._next:
                self._next = monotonic() + PROGRESS_EVERY_S
                self._pipe.send(tuple(ChildMessage("progress", (progress_json(percent, note),))))

    def end(self, answer: ChildMessage) -> None:
        """Send the ending; after that, progress from threads that the handler left behind is dropped."""
        with self._lock:
            self._ended = True
            self._pipe.send(tuple(answer))


def _run_next(pipe: Connection, registry: Registry[AnyHandler]) -> None:
    request = JobRequest(*pipe.recv())
    pipe.send(tuple(ChildMessage("begun")))
    report = Reporter(pipe)
    report.end(perform(registry[request.kind], request, report))


def _never_stopped() -> bool:
    """Return False: work in a process is killed and not asked to stop."""
    return False


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing: Ctrl-C and a stop of the whole group reach every process; the parent kills what must end."""
