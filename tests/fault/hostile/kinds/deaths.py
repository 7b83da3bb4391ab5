"""Handlers that end their own process, or stop it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import time
from typing import Any

from tests.fault.hostile import stray
from tests.fault.hostile.case import (
    EVERYWHERE,
    HANGS,
    LOOP,
    PROCESS,
    SHARED,
    TIMES_OUT,
    dies,
    hostile,
    raises,
    succeeds,
)


@hostile(*EVERYWHERE, ends=dies("exit status 7"))
def leaves() -> None:
    os._exit(7)


@hostile(*EVERYWHERE, ends=dies("SIGABRT"))
def aborts() -> None:
    os.abort()


@hostile(*EVERYWHERE, ends=dies("SIGKILL"))
def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@hostile(*EVERYWHERE, ends=dies("SIGKILL"))
def kills_its_group() -> None:
    os.killpg(0, signal.SIGKILL)


@hostile(*EVERYWHERE, ends=dies("SIGSEGV"))
def reads_nowhere() -> None:
    ctypes.string_at(0)


@hostile(PROCESS, ends=dies("SIGSEGV"))
def overflows_the_stack() -> None:
    sys.setrecursionlimit(10**9)

    def deeper(_: object) -> Any:
        return min([0, 1], key=deeper)

    deeper(0)


@hostile(*EVERYWHERE, ends=[succeeds(), dies("SIGTERM")])
def terminates_itself() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@hostile(*SHARED, ends=succeeds())
@hostile(PROCESS, ends=raises("KeyboardInterrupt"))
def interrupts_its_group() -> None:
    os.killpg(0, signal.SIGINT)


@hostile(*EVERYWHERE, ends=HANGS, timeout_s=2)
def stops_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@hostile(*EVERYWHERE, ends=dies("exit status 3"))
def dies_with_a_program_at_its_pipes() -> None:
    stray.program(close_fds=False, start_new_session=True)
    os._exit(3)


@hostile(PROCESS, LOOP, ends=[dies(), TIMES_OUT], timeout_s=5)
def becomes_another_program() -> None:
    os.execv("/bin/sleep", stray.arguments())  # noqa: S606  what it is for


@hostile(*EVERYWHERE, ends=[dies(), TIMES_OUT], timeout_s=5)
def closes_everything() -> None:
    os.closerange(0, 4096)
    time.sleep(1)


@hostile(*EVERYWHERE, ends=[dies(), TIMES_OUT], timeout_s=5)
def writes_garbage_to_every_socket() -> None:
    for number in range(3, 1024):
        try:
            socket.socket(fileno=os.dup(number)).send(b"\xff\xff\xff\x7fgarbage" * 3, socket.MSG_DONTWAIT)
        except OSError:
            continue
    time.sleep(1)


@hostile(*EVERYWHERE, ends=[dies(), TIMES_OUT], timeout_s=5)
def shuts_every_socket_down() -> None:
    for number in range(3, 1024):
        try:
            socket.socket(fileno=os.dup(number)).shutdown(socket.SHUT_WR)
        except OSError:
            continue
    time.sleep(1)


@hostile(PROCESS, ends=succeeds())
def takes_its_own_files_away() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))


@hostile(PROCESS, ends=dies("SIGXCPU|SIGKILL"), timeout_s=120)
def takes_its_own_time_away() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


@hostile(*EVERYWHERE, ends=dies("signal 40"))
def dies_of_a_signal_without_a_name() -> None:
    os.kill(os.getpid(), 40)
    time.sleep(10)


@hostile(*EVERYWHERE, ends=dies("exit status 3"))
def leaves_false_last_words() -> None:
    os.write(
        2, b'Current thread 0x00000001 (most recent call first):\n  File "/\\Uffffffff.py", line 1 in x\n'
    )
    os._exit(3)
