"""Ordinary kinds, which say what they see of their surroundings."""

from __future__ import annotations

import asyncio
import gc
import locale
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sluice import RetryPolicy, handler

ONCE = RetryPolicy(max_attempts=1)
RANDOM = random.Random()
CONNECTION, _ = socket.socketpair()
THREAD = threading.Thread(target=time.sleep, args=(3_600,), daemon=True)
THREAD.start()


class Ask(BaseModel):
    """A number to give back, after a while."""

    number: int
    seconds: float = 0


class Told(BaseModel):
    """The number, and what it saw.

    `random`: numbers of the module, and of a generator made at import; `connection`: the process, and the inode of a socket
    made at import; `surroundings`: what a process has one of.
    """

    number: int
    random: tuple[float, ...] = ()
    connection: tuple[int, ...] = ()
    surroundings: dict[str, Any] = {}


@handler("innocent.loop", timeout_s=60, retry=ONCE)
async def in_loop(ask: Ask) -> Told:
    await asyncio.sleep(ask.seconds)
    os.close(os.open(os.devnull, os.O_RDONLY))
    return Told(number=ask.number)


@handler("innocent.hasty", timeout_s=4, retry=ONCE)
async def hasty(ask: Ask) -> Told:
    """Have little time, which is not up because somebody else held everything up."""
    await asyncio.sleep(ask.seconds)
    return Told(number=ask.number)


@handler("innocent.program", timeout_s=60, retry=ONCE)
async def waits_for_a_program(ask: Ask) -> Told:
    program = await asyncio.create_subprocess_exec("sleep", str(ask.seconds))
    if status := await program.wait():
        raise ChildProcessError(f"exit status {status}")
    return Told(number=ask.number)


@handler("innocent.thread", timeout_s=60, retry=ONCE)
def in_thread(ask: Ask) -> Told:
    time.sleep(ask.seconds)
    os.close(os.open(os.devnull, os.O_RDONLY))
    return Told(number=ask.number)


@handler("innocent.process", timeout_s=60, retry=ONCE, runs_in="process")
def in_process(ask: Ask) -> Told:
    time.sleep(ask.seconds)
    return Told(
        number=ask.number,
        random=(random.random(), RANDOM.random()),
        connection=(os.getpid(), os.fstat(CONNECTION.fileno()).st_ino),
        surroundings=surroundings(),
    )


def surroundings() -> dict[str, Any]:
    """Return what another job in the same process could have changed."""
    return {
        "directory": str(Path.cwd()),
        "environment": {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")},
        "umask": _umask(),
        "locale": locale.setlocale(locale.LC_ALL),
        "path": sys.path,
        "recursion limit": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "thread stacks": threading.stack_size(),
        "garbage collection": [gc.isenabled(), *gc.get_threshold()],
        "signals": {str(number): _handles(number) for number in signal.valid_signals()},
        "blocked signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "open": [_is_open(number) for number in range(3)],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "output": [stream is not None for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "traced": sys.getprofile() is not None,
        "thread made at import": THREAD.is_alive(),
    }


def _handles(number: int) -> str:
    found = signal.getsignal(number)
    return getattr(found, "__qualname__", str(found))


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
