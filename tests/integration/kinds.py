"""Kinds whose work goes on until the test lets it end, loaded by the api and consumer processes of the tests."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from pydantic import BaseModel

from sluice.context import Context
from sluice.errors import GiveUp
from sluice.handler import handler
from sluice.retry import RetryPolicy


class Ask(BaseModel):
    """The work ends when the file `gate` appears; every run adds a line to the file `mark`."""

    gate: str = ""
    mark: str = ""
    number: int = 0


class Done(BaseModel):
    """The number that came in."""

    number: int


def begun(ask: Ask) -> None:
    """Leave a line that says which process runs the work."""
    if ask.mark:
        with Path(ask.mark).open("a") as mark:
            mark.write(f"{os.getpid()}\n")


async def opened(ask: Ask) -> None:
    """Return once the gate is open."""
    while ask.gate and not Path(ask.gate).exists():  # noqa: ASYNC110, ASYNC240  another process opens it
        await asyncio.sleep(0.01)


@handler("own.loop", searchable=("number", "gate"))
async def in_loop(ask: Ask) -> Done:
    """Wait in the event loop."""
    begun(ask)
    await opened(ask)
    return Done(number=ask.number)


@handler("own.thread")
def in_thread(ask: Ask, context: Context) -> Done:
    """Wait in a thread, and end when asked to."""
    begun(ask)
    while not Path(ask.gate).exists() and not context.should_stop():
        time.sleep(0.01)
    return Done(number=ask.number)


@handler("own.process", runs_in="process")
def in_process(ask: Ask) -> Done:
    """Burn processor time, and never ask whether to stop."""
    begun(ask)
    while not Path(ask.gate).exists():
        pass
    return Done(number=ask.number)


@handler("own.fails", retry=RetryPolicy(max_attempts=3, base_s=0.01))
async def fails(ask: Ask) -> Done:
    """Never succeed."""
    begun(ask)
    raise LookupError("no luck")


@handler("own.pure", cache_s=600)
async def pure(ask: Ask) -> Done:
    """Return the same for the same input."""
    begun(ask)
    await opened(ask)
    return Done(number=ask.number)


@handler("own.brief", cache_s=1)
async def brief(ask: Ask) -> Done:
    """Return the same for the same input, cached for a second."""
    begun(ask)
    return Done(number=ask.number)


@handler("own.tells")
async def tells(ask: Ask, context: Context) -> Done:
    """Tell its client what it does, and print something that is none of its business."""
    print("for operators")  # noqa: T201  what it is about
    context.log.info("begun", extra={"number": ask.number, "password": "hunter2"})
    context.progress(10, "begun")
    begun(ask)
    await opened(ask)
    context.log.warning("done")
    return Done(number=ask.number)


@handler("own.gives_up")
async def gives_up(ask: Ask) -> Done:
    """Give up at once, with a reason that differs a little each time."""
    raise GiveUp(f"row {time.time_ns()} of {ask.number} is of no use")
