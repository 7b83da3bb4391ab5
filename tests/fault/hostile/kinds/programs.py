"""Handlers that start programs and processes, in every way there is, and leave some of them behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.fault.hostile import stray
from tests.fault.hostile.case import (
    CLOSED,
    EVERYWHERE,
    GONE,
    HANGS,
    LOOP,
    PROCESS,
    THREAD,
    TIMES_OUT,
    hostile,
    raises,
    succeeds,
)
from tests.fault.hostile.stray import PLACE


def pool(method: str) -> int:
    """Add up in a pool of processes."""
    with multiprocessing.get_context(method).Pool(2) as workers:
        return sum(workers.map(abs, range(100)))


@hostile(*EVERYWHERE, ends=succeeds(4950))
def pools_by_fork() -> int:
    return pool("fork")


@hostile(PROCESS, ends=succeeds(4950))
@hostile(LOOP, THREAD, ends=[succeeds(4950), GONE])
def pools_by_spawn() -> int:
    return pool("spawn")


@hostile(PROCESS, ends=succeeds(4950))
@hostile(LOOP, THREAD, ends=[succeeds(4950), GONE])
def pools_by_fork_server() -> int:
    return pool("forkserver")


@hostile(*EVERYWHERE, ends=succeeds(1024))
def leaves_an_executor_open() -> int:
    executor = ProcessPoolExecutor(2, multiprocessing.get_context("fork"))
    return executor.submit(pow, 2, 10).result()


@hostile(*EVERYWHERE, ends=succeeds(-signal.SIGTERM))
def terminates_a_fork() -> int | None:
    child = multiprocessing.get_context("fork").Process(target=stray.linger, args=(PLACE.get(),))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode


@hostile(*EVERYWHERE, ends=succeeds(-signal.SIGINT))
def interrupts_a_program() -> int:
    child = stray.program()
    child.send_signal(signal.SIGINT)
    return child.wait()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_process() -> None:
    multiprocessing.get_context("fork").Process(target=stray.linger, args=(PLACE.get(),)).start()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_spawned_process() -> None:
    multiprocessing.get_context("spawn").Process(target=stray.linger, args=(PLACE.get(),)).start()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_program() -> None:
    stray.program()


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_session() -> None:
    stray.program(start_new_session=True)


@hostile(*EVERYWHERE, ends=succeeds())
def leaves_a_daemon() -> None:
    if not os.fork():
        stray.program(start_new_session=True)
        os._exit(0)


@hostile(*EVERYWHERE, ends=HANGS, timeout_s=1)
def waits_for_a_session() -> None:
    stray.program(start_new_session=True).wait()


@hostile(LOOP, ends=[TIMES_OUT, CLOSED], timeout_s=1)
async def waits_for_a_program() -> None:
    program, *rest = stray.arguments()
    child = await asyncio.create_subprocess_exec(
        program, *rest, executable="/bin/sleep", start_new_session=True
    )
    await child.wait()


@hostile(*EVERYWHERE, ends=succeeds(True))
def forks_into_the_handler() -> bool:
    parent = os.getpid()
    if not os.fork():
        stray.mark(PLACE.get())
    return os.getpid() == parent


@hostile(*EVERYWHERE, ends=succeeds())
def forks_and_raises() -> None:
    if not os.fork():
        stray.mark(PLACE.get())
        raise LookupError("in the child")


@hostile(*EVERYWHERE, ends=succeeds())
def forks_and_exits() -> None:
    if not os.fork():
        stray.mark(PLACE.get())
        sys.exit(3)


@hostile(*EVERYWHERE, ends=succeeds())
def forks_often() -> None:
    for _ in range(20):
        if not os.fork():
            os.setsid()
            stray.linger(PLACE.get())


@hostile(*EVERYWHERE, ends=raises("CalledProcessError.*exit status 4"))
def runs_what_fails() -> None:
    subprocess.run(["/bin/sh", "-c", "exit 4"], check=True)


@hostile(LOOP, PROCESS, ends=succeeds())
def ignores_its_children() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


@hostile(PROCESS, ends=succeeds(3))
def waits_for_any_child() -> int:
    for _ in range(3):
        if os.fork() == 0:
            os._exit(0)
    return sum(os.wait()[1] == 0 for _ in range(3))
