"""Serve a consumer: set up the process → load the modules → run jobs until the consumer is gone."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, NoReturn

import uvloop

from sluice.core.catalogue import describe, to_wire
from sluice.core.registry import Registry
from sluice.core.runtime.garbage_collection import settle_garbage_collection
from sluice.errors import StartRefused
from sluice.host.background import Load, SessionWeight, be_nice
from sluice.host.breaking_off import break_off
from sluice.host.high_fd import copy_high
from sluice.host.host import Host
from sluice.host.limits import limit_memory
from sluice.host.loading import load_watched
from sluice.host.logs import capture
from sluice.host.pipe import Pipe
from sluice.host.process_state import remember_standard_files
from sluice.host.processes import adopt_orphans, children_of, end_descendants
from sluice.host.processor_time import used_s, waited_s
from sluice.host.surroundings import Surroundings
from sluice.host.watch import Watch
from sluice.host.weight_note import describe_weight, read_scheduling

LOG = logging.getLogger("sluice.host")
MOST_THREADS = 10_000
"""More than any lane has slots; threads are started as they are needed."""


class Start(NamedTuple):
    """What a host is told first.

    `slot`: run one job at a time, plain functions in the main thread. `python_path`: the consumer's PYTHONPATH.
    """

    modules: list[str]
    path: list[str]
    log_level: int
    memory_mib: int
    slot: bool
    python_path: str | None


def serve(fd: int) -> NoReturn:
    """Serve the consumer at the other end of this socket, and end with it."""
    pipe = Pipe(_move_high(fd))
    _, *values = pipe.receive()[0]
    start = Start(*values)
    _set_up_process(start)
    capture(start.log_level, lambda line: pipe.send(("log", *line)))
    registry = _load(start.modules, pipe)
    pipe.leave_if_forked()
    if start.slot:
        be_nice()
    kinds = [to_wire(describe(registry[kind])) for kind in registry]
    pipe.send(("ready", kinds, describe_weight(read_scheduling())))
    settle_garbage_collection()
    (_serve_in_main_thread if start.slot else _serve_in_loop)(pipe, registry)


def _move_high(fd: int) -> socket.socket:
    high = copy_high(fd)
    os.close(fd)
    return socket.socket(fileno=high)


def _set_up_process(start: Start) -> None:
    """Prepare for strangers' code."""
    sys.path[:] = start.path
    os.environ.pop("PYTHONPATH", None)
    if start.python_path is not None:
        os.environ["PYTHONPATH"] = start.python_path
    faulthandler.enable(copy_high(2))
    adopt_orphans()
    limit_memory(start.memory_mib)


def _load(modules: list[str], pipe: Pipe) -> Registry[Any]:
    try:
        return load_watched(
            modules, lambda module: pipe.send(("loading", module)), lambda why: pipe.send(("refused", why))
        )
    except StartRefused as error:
        pipe.send(("refused", str(error)))
        _leave()


def _serve_in_loop(pipe: Pipe, registry: Registry[Any]) -> NoReturn:
    """Run coroutines in the main thread and plain functions in others, many at once."""
    loop = uvloop.new_event_loop()
    threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="handler")
    host = Host(loop, pipe, registry, threads.submit, pipe.leave_if_forked)
    restore_files = remember_standard_files()

    def tick() -> None:
        host.tick()
        restore_files()

    signal.signal(signal.SIGINT, _ignore_signal)
    _run(loop, host, pipe, tick)


def _serve_in_main_thread(pipe: Pipe, registry: Registry[Any]) -> NoReturn:
    """Run plain functions in the main thread, each as if it were the first; the loop has a thread of its own."""
    loop = uvloop.new_event_loop()
    work: SimpleQueue[Callable[[], None]] = SimpleQueue()
    surroundings, own_helpers = Surroundings(), children_of(os.getpid())

    def clean_up() -> None:
        pipe.leave_if_forked()
        surroundings.restore_signals()
        end_descendants(own_helpers | _helpers_of_multiprocessing())
        if surroundings.spoilt:
            pipe.send(("spoilt",))

    host = Host(loop, pipe, registry, work.put, clean_up, one_at_a_time=True)
    Thread(target=_run, args=(loop, host, pipe, host.tick), name="sluice-loop", daemon=True).start()
    while True:
        try:
            next_job = work.get()
            surroundings.restore()
            next_job()
        except BaseException:  # noqa: BLE001  the signal handler of a job may raise when the job has ended
            with contextlib.suppress(BaseException):
                surroundings.restore_signals()


def _run(loop: asyncio.AbstractEventLoop, host: Host, pipe: Pipe, on_tick: Callable[[], None]) -> NoReturn:
    """Run the loop for ever: whatever a task or a callback raises, the jobs beside it go on."""
    asyncio.set_event_loop(loop)
    loop.set_task_factory(host.create_task)
    loop.add_reader(pipe.fileno(), lambda: _receive(host))
    os.register_at_fork(after_in_child=lambda: loop.call_soon(os._exit, 0))
    weight = SessionWeight(None if host.one_at_a_time else Load(used_s, waited_s, lambda: host.ended_jobs))
    weight.keep()
    Watch(loop, pipe, on_tick, weight.keep, host.owner_of, _leave).start()
    while True:
        try:
            loop.run_forever()
        except BaseException as error:  # noqa: BLE001  SystemExit and KeyboardInterrupt leave a loop by design
            LOG.warning("%s left a task or a callback, and is ignored: %s", type(error).__name__, error)


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing: KeyboardInterrupt would come up in whatever job runs just then."""


def _receive(host: Host) -> None:
    try:
        host.receive()
    except (EOFError, ConnectionError):
        _leave()
    except BaseException as error:  # noqa: BLE001  for lack of memory, say: the message is lost
        break_off(error)


def _helpers_of_multiprocessing() -> set[int]:
    """Find what multiprocessing keeps for this process, whatever job was the first to need it."""
    helpers = (
        ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
        ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
    )
    found = (
        getattr(getattr(sys.modules.get(module), name, None), pid, None) for module, name, pid in helpers
    )
    return {pid for pid in found if pid is not None}


def _leave() -> NoReturn:
    """End this process at once, with all that it has started."""
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        end_descendants()
    finally:
        os._exit(0)
