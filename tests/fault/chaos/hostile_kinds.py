"""Kinds that harm the process they run in, under their first claim; under a later one they do ordinary work."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

from sluice.context import Context
from sluice.handler import handler
from tests.fault.chaos.kinds import Ask, Done, answer_to, note

LOWEST_FD = 100
"""Where a handler would look for the socket of its host: what is open below is its own."""
LONG_S = 60.0


def host_sockets() -> list[int]:
    """Find the descriptors of this process that may be its way to the consumer."""
    found = (int(name) for name in os.listdir("/proc/self/fd") if int(name) >= LOWEST_FD)  # noqa: PTH208  numbers
    return [fd for fd in found if _is_socket(fd)]


def _is_socket(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")  # noqa: PTH115  no file
    except OSError:
        return False


def _begin(ask: Ask, context: Context) -> bool:
    """Leave a line in the ledger; returns whether it is the time to do harm."""
    note(context, ask.number)
    return context.fence == 1


def _done(ask: Ask, context: Context) -> Done:
    return Done(answer=answer_to(ask.number), fence=context.fence)


@handler("hostile.garbage", timeout_s=30)
async def garbage(ask: Ask, context: Context) -> Done:
    """Write into the socket what is no message."""
    if _begin(ask, context):
        for fd in host_sockets():
            with suppress(OSError):
                os.write(fd, os.urandom(4_096))
        time.sleep(LONG_S)  # noqa: ASYNC251  nothing else is to be written
    return _done(ask, context)


@handler("hostile.hang-up", timeout_s=30)
async def hang_up(ask: Ask, context: Context) -> Done:
    """Write half a message and end the connection in one direction."""
    if _begin(ask, context):
        for fd in host_sockets():
            with suppress(OSError), socket.socket(fileno=os.dup(fd)) as end:
                end.send(b"\x40\0\0\0half")
                end.shutdown(socket.SHUT_WR)
    return _done(ask, context)


@handler("hostile.close", timeout_s=30)
def close(ask: Ask, context: Context) -> Done:
    """Close the socket."""
    if _begin(ask, context):
        for fd in host_sockets():
            os.close(fd)
    return _done(ask, context)


@handler("hostile.exit", timeout_s=30)
async def leave(ask: Ask, context: Context) -> Done:
    """End the process, and leave another behind."""
    if _begin(ask, context):
        leave_one_behind()
        os._exit(3)
    return _done(ask, context)


@handler("hostile.block", timeout_s=30)
async def block(ask: Ask, context: Context) -> Done:
    """Block the event loop."""
    if _begin(ask, context):
        time.sleep(LONG_S)  # noqa: ASYNC251  what it is for
    return _done(ask, context)


@handler("hostile.slot", runs_in="process", timeout_s=30)
def slot(ask: Ask, context: Context) -> Done:
    """End a process of its own, and leave another behind."""
    if _begin(ask, context):
        leave_one_behind()
        os._exit(3)
    return _done(ask, context)


@handler("hostile.orphan", runs_in="process", timeout_s=30)
def orphan(ask: Ask, context: Context) -> Done:
    """Leave a process behind, in a session of its own, and succeed."""
    note(context, ask.number)
    leave_one_behind()
    return _done(ask, context)


def leave_one_behind() -> None:
    """Start a process that ignores SIGTERM, and whose parent ends at once."""
    sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    starter = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}], start_new_session=True)"
    subprocess.run([sys.executable, "-c", starter], check=True, start_new_session=True)


NAMES = ("garbage", "hang-up", "close", "exit", "block", "slot", "orphan")
"""What the kinds are called, after `hostile.`."""
