"""Handlers that exit, interrupt or raise what nobody catches: at once, in a part of theirs, or when their job has long ended."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import ctypes
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import NoReturn

from sluice import GiveUp
from sluice.core.outcome import Released
from tests.fault.hostile.case import (
    EVERYWHERE,
    LOOP,
    SHARED,
    THREAD,
    TIMES_OUT,
    dies,
    fails,
    hostile,
    raises,
    succeeds,
)

LATER_S = 0.3
KEPT: list[object] = []


class Odd(BaseException):
    """Is no Exception."""


def throw(error: BaseException) -> NoReturn:
    """Raise, where only an expression may stand."""
    raise error


@hostile(*EVERYWHERE, ends=raises("SystemExit 3"))
def exits() -> None:
    sys.exit(3)


@hostile(*EVERYWHERE, ends=raises("KeyboardInterrupt stop"))
def interrupts() -> None:
    raise KeyboardInterrupt("stop")


@hostile(*EVERYWHERE, ends=raises("GeneratorExit odd"))
def raises_generator_exit() -> None:
    raise GeneratorExit("odd")


@hostile(*EVERYWHERE, ends=raises("Odd strange"))
def raises_base_exception() -> None:
    raise Odd("strange")


@hostile(*EVERYWHERE, ends=raises("CancelledError"))
def raises_cancelled_error() -> None:
    raise asyncio.CancelledError


@hostile(*EVERYWHERE, ends=raises("StopIteration|RuntimeError.*StopIteration"))
def raises_stop_iteration() -> None:
    raise StopIteration


@hostile(*EVERYWHERE, ends=fails("gave-up", "no such customer"))
def gives_up_in_group() -> None:
    raise ExceptionGroup("many", [KeyError("a"), ExceptionGroup("more", [GiveUp("no such customer")])])


async def part(error: BaseException) -> None:
    """A part of a handler's work."""
    await asyncio.sleep(0.02)
    raise error


@hostile(LOOP, ends=raises("SystemExit 3"))
async def exits_in_gather() -> None:
    await asyncio.gather(part(SystemExit(3)), asyncio.sleep(600))


@hostile(LOOP, ends=raises("KeyboardInterrupt"))
async def interrupts_in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(part(KeyboardInterrupt()))
        group.create_task(asyncio.sleep(600))


@hostile(LOOP, ends=raises("GeneratorExit"))
async def raises_generator_exit_in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(part(GeneratorExit()))


@hostile(LOOP, ends=[succeeds(), raises("SystemExit 3")])
async def exits_in_callback() -> None:
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0.1)


@hostile(LOOP, ends=[succeeds(), raises("Odd")])
async def raises_in_exception_handler() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: throw(Odd()))
    loop.call_soon(throw, LookupError())
    await asyncio.sleep(0.1)


@hostile(LOOP, ends=succeeds())
async def exits_later_in_task() -> None:
    async def exit_later() -> None:
        await asyncio.sleep(LATER_S)
        sys.exit(3)

    KEPT.append(asyncio.create_task(exit_later()))


@hostile(LOOP, ends=succeeds())
async def interrupts_later_in_timer() -> None:
    asyncio.get_running_loop().call_later(LATER_S, throw, KeyboardInterrupt())


@hostile(*EVERYWHERE, ends=succeeds())
def exits_in_thread() -> None:
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()


@hostile(*EVERYWHERE, ends=succeeds())
def interrupts_in_thread() -> None:
    thread = threading.Thread(target=throw, args=(KeyboardInterrupt(),))
    thread.start()
    thread.join()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_later_in_thread() -> None:
    threading.Timer(LATER_S, os._exit, (5,)).start()


@hostile(*EVERYWHERE, ends=succeeds())
def exits_at_exit() -> None:
    atexit.register(sys.exit, 3)
    atexit.register(throw, KeyboardInterrupt())


@hostile(*EVERYWHERE, ends=succeeds())
def hangs_at_exit() -> None:
    atexit.register(time.sleep, 600)


@hostile(*EVERYWHERE, ends=succeeds())
def exits_in_finalizer() -> None:
    owner = Odd()
    weakref.finalize(owner, sys.exit, 3)
    del owner


@hostile(*SHARED, ends=succeeds())
def interrupts_main() -> None:
    _thread.interrupt_main()


@hostile(THREAD, ends=[succeeds(), raises("SystemExit"), dies(), TIMES_OUT], timeout_s=5)
def throws_into_main_thread() -> None:
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(main, ctypes.py_object(SystemExit))


@hostile(*EVERYWHERE, ends=raises("ModuleNotFoundError.*no_such_module"), attempts=5)
def imports_what_is_not_there() -> None:
    __import__("no_such_module")


@hostile(*EVERYWHERE, ends=raises("RecursionError"))
def recurses() -> None:
    def deeper(next_one: Callable[..., None]) -> None:
        next_one(next_one)

    deeper(deeper)


@hostile(*EVERYWHERE, ends=raises("Released"))
def raises_what_only_sluice_may() -> None:
    raise Released("again, please")
