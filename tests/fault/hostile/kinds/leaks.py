"""Handlers that fill memory, files and threads, and never let go."""

from __future__ import annotations

import os
import tempfile
import threading
import time

from tests.fault.hostile.case import EVERYWHERE, PROCESS, SHARED, dies, fails, hostile, succeeds

MIB = 1 << 20
ENOUGH_MIB = 1500
"""More than any process of a run may have."""

KEPT: list[object] = []


@hostile(PROCESS, ends=succeeds(), copies=6)
def leaks_memory_in_a_process() -> None:
    KEPT.append(bytearray(100 * MIB))


@hostile(*SHARED, ends=succeeds(), copies=8)
def leaks_memory() -> None:
    KEPT.append(bytearray(b"x") * (50 * MIB))


@hostile(*EVERYWHERE, ends=[fails("out-of-memory"), dies()], timeout_s=120)
def fills_the_memory() -> None:
    KEPT.extend(bytearray(b"x") * MIB for _ in range(ENOUGH_MIB))
    time.sleep(3)
    KEPT.clear()
    raise AssertionError("nobody minded")


@hostile(PROCESS, ends=fails("out-of-memory"))
def asks_for_too_much_in_a_group() -> None:
    try:
        bytearray(1 << 40)
    except MemoryError as error:
        raise ExceptionGroup("many", [KeyError("a"), error]) from error


@hostile(*EVERYWHERE, ends=succeeds())
def leaks_files() -> None:
    try:
        KEPT.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(2000))
    except OSError:
        KEPT.append("all there were")


@hostile(*EVERYWHERE, ends=succeeds())
def leaks_threads() -> None:
    before = threading.stack_size(256 << 10)
    for _ in range(200):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    threading.stack_size(before)


@hostile(*EVERYWHERE, ends=succeeds())
def leaks_temporary_files() -> None:
    for _ in range(100):
        tempfile.mkstemp()
