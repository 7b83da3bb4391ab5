"""Handlers that end well, and leave behind what hurts later: threads and timers that interrupt, raise, signal or exit."""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import faulthandler
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType

from tests.fault.hostile.case import EVERYWHERE, LOOP, PROCESS, SHARED, THREAD, dies, hostile, succeeds

SOON_S = 0.3
FOR_S = 1.0
"""How long something that is left behind goes on."""


class Late(Exception):
    """Comes from another thread."""


class Overdue(Late):
    """Says why it comes, as func_timeout does."""

    def __init__(self, why: str = "it took too long") -> None:
        super().__init__(why)


class Event(ctypes.Structure):
    """`struct sigevent` of <signal.h>: which signal a timer sends."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("number", ctypes.c_int),
        ("how", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


def leave_thread(act: Callable[[], object]) -> None:
    """Call this again and again once the handler that calls here has returned, in a thread that nobody waits for."""
    handler = sys._getframe(1)

    def go_on() -> None:
        while is_running(handler):
            time.sleep(0.01)
        time.sleep(SOON_S)
        until = time.monotonic() + FOR_S
        while time.monotonic() < until:
            time.sleep(0.01)
            act()

    threading.Thread(target=go_on, daemon=True).start()


def is_running(frame: FrameType) -> bool:
    """Tell whether this call has not returned yet."""
    try:
        frame.clear()
    except RuntimeError:
        return True
    return False


def raise_in(victims: Iterable[int | None], error: type[BaseException]) -> None:
    """Raise an error in these threads."""
    for victim in victims:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim or 0), ctypes.py_object(error))


def leave_timer(number: int) -> None:
    """Leave a timer that sends this signal, which Python does not know of."""
    libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
    libc.timer_create(1, ctypes.byref(Event(None, number, 0)), ctypes.byref(timer))
    soon_ns = int(SOON_S * 1e9)
    libc.timer_settime(timer, 0, ctypes.byref((ctypes.c_long * 4)(0, soon_ns, 0, soon_ns)), None)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_an_interrupting_thread() -> None:
    leave_thread(_thread.interrupt_main)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_signalling_thread() -> None:
    main = threading.main_thread().ident or 0
    leave_thread(lambda: signal.pthread_kill(main, signal.SIGINT))


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_thread_that_raises_in_the_main_thread() -> None:
    main = threading.main_thread().ident
    leave_thread(lambda: raise_in([main], Late))


@hostile(*SHARED, ends=succeeds())
def leaves_a_thread_that_raises_in_others() -> None:
    def victims() -> list[int | None]:
        return [
            each.ident for each in threading.enumerate() if each.ident and each.name.startswith("handler")
        ]

    leave_thread(lambda: raise_in(victims(), SystemExit))


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_thread_that_raises_with_words() -> None:
    main = threading.main_thread().ident
    leave_thread(lambda: raise_in([main], Overdue))


@hostile(LOOP, ends=succeeds())
async def leaves_an_alarm_that_raises() -> None:
    signal.signal(signal.SIGALRM, lambda *_: raise_late())
    signal.setitimer(signal.ITIMER_REAL, SOON_S, SOON_S)


@hostile(THREAD, ends=succeeds())
def raises_in_its_own_thread_afterwards() -> None:
    own = threading.get_ident()
    threading.Timer(SOON_S, raise_in, ([own], SystemExit)).start()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_an_exiting_thread() -> None:
    threading.Timer(SOON_S, os._exit, (3,)).start()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_killing_thread() -> None:
    threading.Timer(SOON_S, os.kill, (os.getpid(), signal.SIGUSR1)).start()


@hostile(LOOP, ends=succeeds())
async def leaves_an_exiting_callback() -> None:
    asyncio.get_running_loop().call_later(SOON_S, os._exit, 3)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_timer() -> None:
    leave_timer(signal.SIGRTMIN)


@hostile(PROCESS, ends=succeeds())
def leaves_a_timer_with_a_handler() -> None:
    signal.signal(signal.SIGRTMIN, lambda *_: raise_late())
    leave_timer(signal.SIGRTMIN)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_an_interrupting_timer() -> None:
    leave_timer(signal.SIGINT)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_dump_that_exits() -> None:
    faulthandler.dump_traceback_later(SOON_S, exit=True, file=2)


@hostile(PROCESS, ends=[succeeds(), dies()])
def leaves_an_audit_hook() -> None:
    sys.addaudithook(lambda *_: raise_late())


@hostile(PROCESS, ends=succeeds())
def replaces_functions_of_the_system() -> None:
    os._exit = os.kill = signal.setitimer = print  # type: ignore[assignment]  # that is what is tried


@hostile(LOOP, ends=succeeds())
async def makes_its_host_deaf() -> None:
    loop = asyncio.get_running_loop()
    for fd in range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        loop.remove_reader(fd)


@hostile(LOOP, ends=succeeds())
async def cancels_everybody_later() -> None:
    async def cancel() -> None:
        await asyncio.sleep(SOON_S)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    LATER.append(asyncio.create_task(cancel()))


LATER: list[object] = []


def raise_late() -> None:
    """Raise an error in whatever runs."""
    raise Late
