"""Good work, and work that ends in every way it should not, in each place."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from pydantic import BaseModel

from sluice.handler import handler
from sluice.retry import RetryPolicy

ONCE = RetryPolicy(max_attempts=1)
TWICE = RetryPolicy(max_attempts=2, base_s=0.01)


class Ask(BaseModel):
    """A number to give back, or a way to end."""

    number: int = 0
    how: str = ""
    seconds: float = 0


class Reply(BaseModel):
    """The number, or anything at all."""

    number: int = 0
    more: Any = None


class Unpicklable(Exception):
    """Cannot be sent to another process."""

    def __init__(self) -> None:
        super().__init__("not for others")
        self.lock = threading.Lock()

    def __reduce__(self) -> NoReturn:
        raise TypeError("never")


class Mute(Exception):
    """Raises if it is asked for its message."""

    def __str__(self) -> str:
        raise LookupError("no words")


class Leaving(Exception):
    """Ends the program that asks for its message."""

    def __str__(self) -> str:
        raise SystemExit(3)


def _raise(error: BaseException) -> NoReturn:
    raise error


def _hungry() -> NoReturn:
    hoard = []
    while True:
        hoard.append(bytes(400))


def _spin() -> NoReturn:
    while True:
        pass


def _ring() -> Reply:
    ring: list[Any] = []
    ring.append(ring)
    return Reply(more=ring)


WAYS: dict[str, Callable[[], Any]] = {
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leave": lambda: os._exit(0),
    "hungry": _hungry,
    "spin": _spin,
    "sleep": lambda: time.sleep(600),
    "exit": lambda: sys.exit(3),
    "interrupt": lambda: _raise(KeyboardInterrupt("stop it")),
    "generator": lambda: _raise(GeneratorExit("odd")),
    "unpicklable": lambda: _raise(Unpicklable()),
    "mute": lambda: _raise(Mute()),
    "leaving": lambda: _raise(Leaving()),
    "large": lambda: Reply(more="x" * 10_000_000),
    "nan": lambda: Reply(more=[float("nan")]),
    "nul": lambda: Reply(more="a\x00b"),
    "set": lambda: {1, 2},
    "ring": _ring,
    "wrong": lambda: {"number": "many"},
}


def end(ask: Ask) -> Any:
    """End in this way; without one, return the number."""
    time.sleep(ask.seconds)
    return WAYS[ask.how]() if ask.how else Reply(number=ask.number)


@handler("bad.loop", timeout_s=20, retry=TWICE)
async def in_loop(ask: Ask) -> Reply:
    """End in the event loop, beside everybody else."""
    found: Reply = end(ask)
    return found


@handler("bad.cancel", timeout_s=20, retry=TWICE)
async def cancels(ask: Ask) -> Reply:
    """Cancel the task that runs it."""
    task = asyncio.current_task()
    if task is not None:
        task.cancel()
    await asyncio.sleep(0)
    return Reply()


@handler("bad.stuck", timeout_s=1, retry=ONCE)
async def stuck(ask: Ask) -> Reply:
    """Block the event loop for good."""
    found: Reply = end(ask)
    return found


@handler("bad.thread", timeout_s=1, retry=TWICE)
def in_thread(ask: Ask) -> Reply:
    """End in a thread of the consumer."""
    found: Reply = end(ask)
    return found


@handler("bad.process", timeout_s=20, retry=TWICE, runs_in="process")
def in_process(ask: Ask) -> Reply:
    """End in a process of its own."""
    found: Reply = end(ask)
    return found


@handler("bad.spin", timeout_s=0.5, retry=TWICE, runs_in="process")
def spins(ask: Ask) -> Reply:
    """Burn processor time."""
    found: Reply = end(ask)
    return found


@handler("good.loop", timeout_s=20, retry=ONCE)
async def good(ask: Ask) -> Reply:
    """Take a moment; a second attempt would be one too many."""
    await asyncio.sleep(ask.seconds)
    return Reply(number=ask.number)


@handler("good.hasty", timeout_s=1.5, retry=ONCE)
async def hasty(ask: Ask) -> Reply:
    """Work under a short time limit."""
    await asyncio.sleep(ask.seconds)
    return Reply(number=ask.number)


@handler("good.thread", timeout_s=20, retry=ONCE)
def good_in_thread(ask: Ask) -> Reply:
    """Do the same in a thread."""
    time.sleep(ask.seconds)
    return Reply(number=ask.number)


@handler("good.process", timeout_s=20, retry=ONCE, runs_in="process")
def good_in_process(ask: Ask) -> Reply:
    """Do the same in a process."""
    time.sleep(ask.seconds)
    return Reply(number=ask.number)
