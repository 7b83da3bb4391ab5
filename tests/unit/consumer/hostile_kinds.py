"""Kinds that behave in every way a handler can, loaded by the tests and by their child processes."""

import _thread
import asyncio
import ctypes
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sluice.context import Context
from sluice.errors import GiveUp, RetryLater
from sluice.handler import handler
from sluice.host.high_fd import HIGH_FD


class Ask(BaseModel):
    """What to do, and a file in which to leave a mark."""

    number: int = 0
    seconds: float = 0
    mark: str = ""
    how: str = ""


class Reply(BaseModel):
    """Anything at all."""

    value: Any = None


class Number(BaseModel):
    """One number."""

    number: float | None = None


class Stubborn(Exception):
    """Cannot be pickled, cannot even be printed without trouble."""

    def __init__(self) -> None:
        super().__init__("stubborn \udce4 \x00")
        self.lock = threading.Lock()


@handler("t.echo")
async def echo(ask: Ask) -> Reply:
    """The plain case."""
    return Reply(value=ask.number)


@handler("t.talk")
async def talk(ask: Ask, context: Context) -> Reply:
    """Uses all of its context."""
    context.progress(40, "on the way")
    context.log.info("working")
    return Reply(value=[context.job_id, context.attempt, context.fence, context.should_stop()])


@handler("t.prints")
def prints(ask: Ask, context: Context) -> Reply:
    """Says things in every way there is, one of them to its client."""
    print("for operators")  # noqa: T201  what it is about
    logging.getLogger("a.library").error("for operators, too")
    context.log.info("for the client")
    return Reply()


@handler("t.nap")
async def nap(ask: Ask) -> Reply:
    """Waits."""
    await asyncio.sleep(ask.seconds)
    return Reply(value="slept")


@handler("t.ends")
async def ends(ask: Ask) -> Reply:
    """Ends as asked."""
    await asyncio.sleep(0)
    return end(ask)


@handler("t.swallow")
async def swallow(ask: Ask) -> Reply:
    """Does not let itself be cancelled."""
    for _ in range(1000):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if ask.how == "return":
                return Reply(value="done all the same")
    return Reply()


@handler("t.deaf")
async def deaf(ask: Ask) -> Reply:
    """Cannot even be closed."""
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:  # noqa: BLE001, S112  what it is for
            continue


@handler("t.callback")
async def leave_callback(ask: Ask) -> Reply:
    """Leaves a callback that blocks the event loop and belongs to nobody."""
    asyncio.get_running_loop().call_soon(time.sleep, ask.seconds)
    return Reply()


@handler("t.program")
async def start_program(ask: Ask) -> Reply:
    """Starts a program in a session of its own, and waits for it."""
    child = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    Path(ask.mark).write_text(str(child.pid))  # noqa: ASYNC240  a few bytes
    return Reply(value=await child.wait())


@handler("t.self-cancelling")
async def self_cancelling(ask: Ask) -> Reply:
    """Cancels the task it runs in."""
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(60)
    return Reply()


@handler("t.block")
async def block(ask: Ask) -> Reply:
    """Blocks the event loop."""
    time.sleep(ask.seconds)  # noqa: ASYNC251  blocking the loop is what it is for
    return Reply(value="blocked")


@handler("t.thread")
def in_thread(ask: Ask, context: Context) -> Reply:
    """Waits in a thread, and ends when it is asked to."""
    if ask.how in END:
        return end(ask)
    until = time.monotonic() + ask.seconds
    while time.monotonic() < until:
        context.progress(50, "half")
        if context.should_stop() and ask.how != "ignore":
            return Reply(value="asked to stop")
        time.sleep(0.005)
    return Reply(value=threading.current_thread().name)


@handler("t.process", runs_in="process")
def in_process(ask: Ask, context: Context) -> Reply:
    """Does in a process what it is asked to."""
    if ask.how in END:
        return end(ask)
    if ask.mark:
        Path(ask.mark).write_text(str(os.getpid()))
    context.progress(25, "a quarter")
    context.progress(26, "too soon after the last")
    context.log.info("from the child", extra={"answer": 42})
    until = time.monotonic() + ask.seconds
    while time.monotonic() < until:
        time.sleep(0.005)
    return Reply(value=[os.getpid(), os.getppid(), os.getpriority(os.PRIO_PROCESS, 0)])


def end(ask: Ask) -> Reply:
    """End an attempt in one of many ways."""
    result: Reply = END[ask.how](ask)
    return result


def _raise(error: BaseException) -> None:
    raise error


def _hungry(ask: Ask) -> Reply:
    """Fill the memory and keep it all, in pieces that leave the interpreter room to say so: without any it may crash."""
    hoard: list[bytes] = []
    while ask.seconds:
        hoard.append(bytes(65_536))
    raise MemoryError("for the test")


def _means(_: Ask) -> Reply:
    """What the process may allocate, and how soon the kernel ends it."""
    order = int(Path("/proc/self/oom_score_adj").read_text())
    return Reply(value=[*resource.getrlimit(resource.RLIMIT_DATA), order])


def _orphan(ask: Ask) -> None:
    """Leave a program behind in a session of its own that holds the pipes open, then die."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False, start_new_session=True
    )
    Path(ask.mark).write_text(str(child.pid))
    os._exit(3)


def _hungry_at_first(ask: Ask) -> Reply:
    """Lack memory in the first process that is asked, and in no other."""
    mark = Path(ask.mark)
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        raise MemoryError
    return Reply(value=os.getpid())


def _closes(ask: Ask) -> None:
    """Close everything but stay."""
    os.closerange(3, 10_000)
    time.sleep(60)


def _shuts(ask: Ask) -> None:
    """Say that nothing more will be said."""
    with socket.socket(fileno=os.dup(HIGH_FD)) as pipe:
        pipe.shutdown(socket.SHUT_WR)
    time.sleep(60)


def _babbles(ask: Ask) -> None:
    """Write nonsense where answers are sent."""
    os.write(HIGH_FD, b"\xff" * 16)
    time.sleep(60)


def _holds(ask: Ask) -> None:
    """Keep every other thread of Python from running."""
    ctypes.PyDLL(None).sleep(60)


def _signals_reach(ask: Ask) -> Reply:
    """Programs that a handler starts can be ended with SIGTERM; the child itself cannot."""
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child.terminate()
    return Reply(value=child.wait(20))


def _writes_false_dump(_: Ask) -> None:
    """Write what looks like the last words of a process, with a character that there is not, and end."""
    os.write(
        2, b'Current thread 0x00000001 (most recent call first):\n  File "/\\Uffffffff.py", line 1 in x\n'
    )
    os._exit(3)


def _spins() -> Reply:
    """Do something for as long as two threads that were left behind need to be noticed."""
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass
    return Reply(value="spun")


def _leaves(act: Any, *arguments: Any) -> Reply:
    """Leave a thread that does this again and again, but not before this job has ended, even on a busy machine."""

    def go_on() -> None:
        time.sleep(0.3)
        while True:
            time.sleep(0.05)
            act(*arguments)

    threading.Thread(target=go_on, daemon=True).start()
    return Reply(value="left")


END: dict[str, Any] = {
    "error": lambda _: _raise(LookupError("nothing there")),
    "stubborn": lambda _: _raise(Stubborn()),
    "give up": lambda _: _raise(GiveUp("no use")),
    "later": lambda _: _raise(RetryLater(7, "busy")),
    "generator": lambda _: _raise(GeneratorExit("mine")),
    "interrupt": lambda _: _raise(KeyboardInterrupt("mine")),
    "exit": lambda _: sys.exit(3),
    "cancelled": lambda _: _raise(asyncio.CancelledError()),
    "nan": lambda _: Reply(value=float("nan")),
    "large": lambda _: Reply(value="x" * 10_000_000),
    "none": lambda _: None,
    "dict": lambda _: {"value": 5},
    "pid": lambda _: Reply(value=os.getpid()),
    "hungry": _hungry,
    "means": _means,
    "abort": lambda _: os.abort(),
    "leave": lambda _: os._exit(0),
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda _: ctypes.string_at(0),
    "closes": _closes,
    "shuts": _shuts,
    "babbles": _babbles,
    "holds": _holds,
    "hungry at first": _hungry_at_first,
    "orphan": _orphan,
    "signals": _signals_reach,
    "unnamed signal": lambda _: os.kill(os.getpid(), 40),
    "false dump": _writes_false_dump,
    "leaves interrupts": lambda _: _leaves(_thread.interrupt_main),
    "leaves an exit": lambda _: _leaves(os._exit, 3),
    "spins": lambda _: _spins(),
}
