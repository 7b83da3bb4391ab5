"""A shared host at work: messages in → runs → endings out. Coroutines run in the main thread, plain functions in others."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import uvloop

from sluice.core.errors import KindUnknown
from sluice.core.outcome import Ending, Released
from sluice.core.registry import Registry
from sluice.host.background import Load, SessionWeight
from sluice.host.breaking_off import break_off, leave
from sluice.host.current_job import CURRENT, JobRef
from sluice.host.ending import encode_ending
from sluice.host.limits import Pulse
from sluice.host.logs import finish_job
from sluice.host.performing import Reporter, Request
from sluice.host.pipe import Pipe
from sluice.host.process_state import remember_standard_files
from sluice.host.processor_time import used_s, waited_s
from sluice.host.runs import Disturbed, LoopRun, NotBegun, Run, ThreadRun
from sluice.host.watch import LoopWatch, start_watching

LOG = logging.getLogger("sluice.host")
MOST_THREADS = 10_000
"""More than any lane has slots; threads are started as they are needed."""

_INTERRUPTED: dict[type, tuple[str, tuple[()]]] = {Disturbed: ("disturbed", ()), NotBegun: ("not-begun", ())}
"""Endings that are none of the job's own."""


class SharedHost:
    """Runs the jobs that its consumer sends, many at once, for as long as that is there.

    All but `owner_of` belongs to the event loop.
    """

    def __init__(self, pipe: Pipe, registry: Registry[Any]) -> None:
        self._pipe, self._registry = pipe, registry
        self._loop = uvloop.new_event_loop()
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="handler")
        self._pulse = Pulse(pipe.send)
        self._restore_files = remember_standard_files()
        self._runs: dict[int, Run] = {}
        self._ended: list[tuple[object, ...]] = []
        self._ended_jobs = 0
        self._task_factory = self.create_task
        self._owners: WeakKeyDictionary[asyncio.Task[Any], JobRef] = WeakKeyDictionary()

    def serve(self) -> NoReturn:
        """Run the loop for ever: whatever a task or a callback raises, the jobs beside it go on."""
        signal.signal(signal.SIGINT, _ignore_signal)
        loop = self._loop
        asyncio.set_event_loop(loop)
        # Of its own: with the usual few threads, calls by one job that take long would hold up those of all.
        loop.set_default_executor(ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="to-thread"))
        loop.set_task_factory(self._task_factory)
        loop.add_reader(self._pipe.fileno(), self._receive_or_leave)
        os.register_at_fork(after_in_child=lambda: loop.call_soon(os._exit, 0))
        weight = SessionWeight(Load(used_s, waited_s, lambda: self._ended_jobs))
        weight.keep()
        watch = LoopWatch(loop, self._pipe, self.tick, self.owner_of)
        start_watching(self._pipe, (watch.look, weight.keep), leave)
        while True:
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001  SystemExit and KeyboardInterrupt leave a loop by design
                name = type(error).__name__
                LOG.warning("%s left a task or a callback, and is ignored: %s", name, error)

    def receive(self) -> None:
        """Take in what has come from the consumer. Raises EOFError once that is gone."""
        for word, *values in self._pipe.receive_now():
            if word == "run":
                self._start(Request(*values))
            elif word == "cancel" and (run := self._runs.get(values[0])):
                run.stop(Released())

    def tick(self) -> None:
        """Send progress that waited, and what this process uses; open standard files again that a job has closed."""
        for run in self._runs.values():
            run.report.flush()
        self._pulse.tick()
        self._restore_files()

    def create_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        """Create a task and remember whose it is: the loop's task factory."""
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        if (job := CURRENT.get()) is not None:
            self._owners[task] = job
        return task

    def owner_of(self, task: asyncio.Task[Any] | None) -> JobRef | None:
        """Find the job to which a task belongs. Safe in every thread."""
        return None if task is None else self._owners.get(task)

    def _receive_or_leave(self) -> None:
        try:
            self.receive()
        except (EOFError, ConnectionError):
            leave()
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the message is lost
            break_off(error)

    def _start(self, request: Request) -> None:
        try:
            run = self._runs[request.number] = self._make_run(request)
        except KindUnknown as error:  # its module has changed since another host listed it
            self._gather_ending(request.number, error)
            return
        if self._loop.get_task_factory() is not self._task_factory:
            # One that a handler has set may make no tasks at all.
            self._loop.set_task_factory(self._task_factory)
        run.start()

    def _make_run(self, request: Request) -> Run:
        handler = self._registry[request.kind]
        report = Reporter(lambda progress: self._pipe.send(("progress", request.number, progress)))
        common = (request, handler, self._loop, report, self._end)
        if handler.runs_in == "loop":
            return LoopRun(*common)
        return ThreadRun(self._threads.submit, self._pipe.leave_if_forked, *common)

    def _end(self, run: Run, ending: Ending) -> None:
        if isinstance(ending, NotBegun):
            self._pipe.send(("spoilt",))
        self._pipe.leave_if_forked()
        if self._runs.pop(run.request.number, None) is not None:
            finish_job(run.request.job)
            self._gather_ending(run.request.number, ending)

    def _gather_ending(self, number: int, ending: Ending) -> None:
        """Tell the consumer, together with what else ends in this turn of the loop."""
        word, values = _INTERRUPTED.get(type(ending)) or encode_ending(ending)
        if not self._ended:
            self._loop.call_soon(self._send_ended)
        self._ended.append(("ended", number, word, values))

    def _send_ended(self) -> None:
        ended, self._ended = self._ended, []
        self._ended_jobs += len(ended)
        try:
            self._pipe.send(*ended)
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the endings are lost
            break_off(error)


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing: KeyboardInterrupt would come up in whatever job runs just then."""
