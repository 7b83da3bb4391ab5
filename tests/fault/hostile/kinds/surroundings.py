"""Handlers that change what a process has one of: directory, environment, locale, limits, signals, files."""

from __future__ import annotations

import faulthandler
import gc
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from tests.fault.hostile.case import (
    EVERYWHERE,
    LOOP,
    PROCESS,
    SHARED,
    THREAD,
    dies,
    hostile,
    raises,
    succeeds,
)

MAIN = (LOOP, PROCESS)
"""Where handlers run in the main thread, which alone may handle signals."""


@hostile(*EVERYWHERE, ends=succeeds())
def changes_into_a_directory_that_goes() -> None:
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    Path(gone).rmdir()


@hostile(*EVERYWHERE, ends=succeeds())
def empties_the_environment() -> None:
    os.environ.clear()
    os.environ["HOSTILE"] = "yes"


@hostile(*EVERYWHERE, ends=succeeds())
def forbids_everything() -> None:
    os.umask(0o777)


@hostile(*EVERYWHERE, ends=succeeds())
def changes_the_locale() -> None:
    locale.setlocale(locale.LC_ALL, "POSIX" if locale.setlocale(locale.LC_ALL) != "C" else "C.UTF-8")


@hostile(*EVERYWHERE, ends=succeeds())
def empties_the_path() -> None:
    sys.path.clear()


@hostile(*EVERYWHERE, ends=succeeds())
def hoards_garbage_and_time() -> None:
    gc.disable()
    gc.set_threshold(0)
    sys.setswitchinterval(100)


@hostile(PROCESS, ends=succeeds())
def forbids_depth() -> None:
    sys.setrecursionlimit(100)


@hostile(*EVERYWHERE, ends=succeeds())
def makes_threads_small() -> None:
    threading.stack_size(32 << 10)


@hostile(*EVERYWHERE, ends=succeeds())
def seeds_everybody_alike() -> None:
    random.seed(1)


@hostile(*MAIN, ends=succeeds())
def ignores_every_signal() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)


@hostile(THREAD, ends=raises("ValueError.*main thread"))
def ignores_signals_in_a_thread() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@hostile(*EVERYWHERE, ends=succeeds())
def blocks_every_signal() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@hostile(PROCESS, ends=dies("SIGALRM"))
@hostile(*SHARED, ends=[succeeds(), dies("SIGALRM")])
def sets_an_alarm_for_itself() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    time.sleep(5)


@hostile(*EVERYWHERE, ends=[succeeds(), dies("SIGALRM")])
def sets_an_alarm_for_others() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.3)


@hostile(*EVERYWHERE, ends=succeeds())
def closes_its_output() -> None:
    os.closerange(0, 3)
    print("into nothing")  # noqa: T201  what it is for


@hostile(*EVERYWHERE, ends=succeeds())
def replaces_its_output() -> None:
    streams: Any = sys
    streams.stdin = streams.stdout = streams.stderr = None


@hostile(*EVERYWHERE, ends=succeeds())
def silences_the_log() -> None:
    logging.basicConfig(force=True, handlers=[logging.NullHandler()])
    logging.disable(logging.CRITICAL)
    logging.shutdown()
    faulthandler.disable()
    warnings.simplefilter("error")


@hostile(*EVERYWHERE, ends=succeeds())
def replaces_every_hook() -> None:
    def refuse(*_: object) -> None:
        raise SystemExit("in a hook")

    hooks: Any = sys
    hooks.excepthook = hooks.unraisablehook = refuse
    vars(threading)["excepthook"] = refuse
    thread = threading.Thread(target=int, args=("no number",))
    thread.start()
    thread.join()


@hostile(*EVERYWHERE, ends=[succeeds(), raises("ZeroDivisionError")])
def traces_everything() -> None:
    sys.setprofile(lambda *_: 1 // 0)
    threading.setprofile(lambda *_: 1 // 0)


@hostile(*EVERYWHERE, ends=succeeds())
def steps_far_back() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
