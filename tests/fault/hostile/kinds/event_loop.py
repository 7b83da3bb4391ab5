"""Handlers that take the event loop, or the interpreter, away from everybody else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

from tests.fault.hostile.case import (
    LOOP,
    OUTSIDE,
    PROCESS,
    SHARED,
    TIMES_OUT,
    dies,
    hostile,
    raises,
    succeeds,
)


@hostile(LOOP, ends=[succeeds(), raises("RuntimeError|CancelledError"), dies()])
async def stops_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.1)


@hostile(LOOP, ends=raises("RuntimeError"))
async def closes_the_loop() -> None:
    asyncio.get_running_loop().close()


@hostile(LOOP, ends=raises("CancelledError"))
async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(600)


@hostile(LOOP, ends=[raises("CancelledError"), dies()])
async def cancels_everybody() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(0.1)


@hostile(LOOP, ends=[succeeds(), raises(""), dies()])
async def sets_a_task_factory() -> None:
    factory: Any = lambda *_, **__: None  # noqa: E731  as short as such a thing is
    asyncio.get_running_loop().set_task_factory(factory)
    await asyncio.sleep(0.1)


@hostile(LOOP, ends=succeeds(), copies=2)
async def holds_up_the_loop_in_slices() -> None:
    for _ in range(10):
        time.sleep(0.8)  # noqa: ASYNC251  what it is for
        await asyncio.sleep(0)


@hostile(LOOP, ends=TIMES_OUT, timeout_s=2)
async def computes_in_slices_without_end() -> None:
    while True:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0)


@hostile(*SHARED, ends=succeeds())
def lets_no_other_thread_run() -> None:
    sys.setswitchinterval(1_000)


@hostile(LOOP, ends=raises("RuntimeError"))
async def runs_a_loop_in_a_loop() -> None:
    work = asyncio.sleep(0)
    try:
        asyncio.run(work)
    finally:
        work.close()


@hostile(*OUTSIDE, ends=succeeds())
def runs_a_loop() -> None:
    asyncio.run(asyncio.sleep(0))


@hostile(*SHARED, PROCESS, ends=succeeds())
def unsets_the_loop() -> None:
    asyncio.set_event_loop(None)
    asyncio.set_event_loop_policy(None)


@hostile(LOOP, PROCESS, ends=succeeds())
def takes_the_wakeup_of_signals() -> None:
    signal.set_wakeup_fd(-1)


def refuse(*_: object, **__: object) -> Any:
    """Stand in for a function of the standard library."""
    raise AssertionError("not today")


@hostile(PROCESS, ends=[succeeds(), raises("not today"), dies()])
def replaces_the_library() -> None:
    vars(os)["_exit"] = vars(time)["time"] = vars(json)["dumps"] = refuse


@hostile(PROCESS, ends=[succeeds(), raises(""), dies()])
def forgets_its_modules() -> None:
    for name in set(sys.modules) - set(sys.builtin_module_names):
        del sys.modules[name]
