"""Handlers that never end, hold the interpreter, or do not let themselves be stopped."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator

from tests.fault.hostile.case import EVERYWHERE, HANGS, LOOP, THREAD, TIMES_OUT, hostile, succeeds

KEPT: list[object] = []


@hostile(LOOP, ends=TIMES_OUT, timeout_s=1)
async def awaits_what_never_comes() -> None:
    await asyncio.Future()


@hostile(*EVERYWHERE, ends=HANGS, timeout_s=1)
def sleeps() -> None:
    time.sleep(600)


@hostile(THREAD, ends=TIMES_OUT, timeout_s=1, copies=12)
def sleeps_often() -> None:
    time.sleep(600)


@hostile(*EVERYWHERE, ends=HANGS, timeout_s=1)
def spins() -> None:
    while True:
        pass


@hostile(*EVERYWHERE, ends=HANGS, timeout_s=1)
def holds_the_interpreter() -> None:
    re.match("(a+)+$", "a" * 60 + "b")


@hostile(*EVERYWHERE, ends=HANGS, timeout_s=1)
def waits_for_itself() -> None:
    lock = threading.Lock()
    with lock, lock:
        pass


@hostile(LOOP, ends=TIMES_OUT, timeout_s=1)
async def swallows_its_cancelling() -> None:
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            continue


@hostile(LOOP, ends=TIMES_OUT, timeout_s=1)
async def cannot_be_closed() -> None:
    while True:
        try:
            await asyncio.sleep(600)
        except BaseException:  # noqa: BLE001, S112  what it is for
            continue


@hostile(LOOP, ends=HANGS, timeout_s=1)
async def blocks_when_cancelled() -> None:
    try:
        await asyncio.sleep(600)
    finally:
        time.sleep(600)  # noqa: ASYNC251  what it is for


@hostile(LOOP, ends=succeeds(1))
async def leaves_a_generator_open() -> int:
    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(600)

    KEPT.append(left := numbers())
    async for number in left:
        return number
    return 0


@hostile(LOOP, ends=TIMES_OUT, timeout_s=1)
async def waits_for_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 600)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()


@hostile(LOOP, ends=succeeds())
async def leaves_a_thousand_tasks() -> None:
    KEPT.extend(asyncio.create_task(asyncio.sleep(600)) for _ in range(1000))
