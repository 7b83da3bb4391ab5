"""A shared host at work: messages in → runs → endings out. Coroutines run in the main thread, plain functions in others."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import logging
import os
import signal
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

from sluice.core.errors import KindUnknown
from sluice.core.outcome import Ending, Released, TimedOut
from sluice.core.registry import Registry
from sluice.core.runtime.loggers import keep_logging
from sluice.host.background import Load, SessionWeight
from sluice.host.breaking_off import break_off, leave
from sluice.host.current_job import CURRENT, JobRef
from sluice.host.ending import CHILD_LOST, Disturbed, NotBegun, encode_ending
from sluice.host.host_loop import HostLoop
from sluice.host.lag import Lag
from sluice.host.left_behind import LeftBehind
from sluice.host.limits import Pulse
from sluice.host.logs import finish_job
from sluice.host.performing import Reporter, Request
from sluice.host.pipe import Pipe
from sluice.host.process_state import remember_import_path, remember_standard_files
from sluice.host.processor_time import used_s, waited_s
from sluice.host.runs import LoopRun, Run, ThreadRun
from sluice.host.watch import LoopWatch, start_watching

LOG = logging.getLogger("sluice.host")
MOST_THREADS = 10_000
"""More than any lane has slots; threads are started as they are needed."""

RECENT_S = 1.0
"""For how long what was left behind may have raised an error in a callback, which is soon over."""


class SharedHost:
    """Runs the jobs that its consumer sends, many at once, for as long as that is there.

    All but `owner_of` belongs to the event loop.
    """

    def __init__(self, pipe: Pipe, registry: Registry[Any]) -> None:
        self._pipe, self._registry = pipe, registry
        self._loop = HostLoop()
        self._debug = self._loop.get_debug()
        self._left_behind = LeftBehind()
        self._threads = self._make_pool("handler")
        self._lag = Lag(self._loop, lambda: self._runs)
        self._pulse = Pulse(pipe.send, self._lag)
        self._restore_files, self._restore_logging = remember_standard_files(), keep_logging()
        self._restore_import_path = remember_import_path()
        self._switch_interval_s = sys.getswitchinterval()
        self._runs: dict[int, Run] = {}
        self._ended: list[tuple[object, ...]] = []
        self._ended_jobs = 0
        self._doubtful: set[int] = set()
        self._task_factory = self.create_task
        self._owners: WeakKeyDictionary[asyncio.Task[Any], JobRef] = WeakKeyDictionary()

    def serve(self) -> NoReturn:
        """Run the loop for ever: whatever a task or a callback raises, the jobs beside it go on."""
        signal.signal(signal.SIGINT, _ignore_signal)
        loop = self._loop
        asyncio.set_event_loop(loop)
        loop.run_until_complete(loop.children.learn())  # before there is a job that could stop the loop
        # Of its own: with the usual few threads, calls by one job that take long would hold up those of all.
        loop.set_default_executor(self._make_pool("to-thread"))
        self._set_up_loop()
        os.register_at_fork(after_in_child=lambda: loop.call_soon(os._exit, 0))
        # A multiprocessing.Process forked in a thread would wait for that thread, which is itself, and end with status 1.
        os.register_at_fork(after_in_child=concurrent.futures.thread._threads_queues.clear)  # type: ignore[attr-defined]  # a dict in truth
        weight = SessionWeight(Load(used_s, waited_s, lambda: self._ended_jobs))
        weight.keep()
        watch = LoopWatch(loop, self._pipe, self._lag, self.tick, self.owner_of, self.mark_slow)
        start_watching(self._pipe, (watch.look, weight.keep), leave)
        self._left_behind.count_own()
        while True:
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001  SystemExit and KeyboardInterrupt leave a loop by design
                self._doubt(error, monotonic() - RECENT_S)
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
        """Send progress that waited, and what this process uses; mend what a job has done to what all need."""
        for run in tuple(self._runs.values()):
            run.report.flush()
            run.mend()
        if self._ended:  # the call that was to send them has been lost to an error from outside
            self._send_ended()
        self._lag.measure()
        self._pulse.tick()
        self._loop.children.restore()
        self._end_lost(self._loop.children.take_lost())
        self._restore_files()
        self._restore_logging()
        self._restore_import_path()
        sys.setswitchinterval(self._switch_interval_s)
        self._set_up_loop()
        self._left_behind.look_closely()
        self._receive_or_leave()  # what has come while nobody listened

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

    def mark_slow(self, job: JobRef) -> None:
        """Note that a job holds up the loop. Called in another thread."""
        for run in tuple(self._runs.values()):
            run.slow |= run.request.job == job

    def _end_lost(self, jobs: Collection[JobRef | None]) -> None:
        """End jobs that would wait for a program for ever."""
        for run in tuple(self._runs.values()) if jobs else ():
            if run.request.job in jobs:
                run.stop(Disturbed(CHILD_LOST))

    def _set_up_loop(self) -> None:
        """Have the loop do what the host needs it for, whatever a job has told it."""
        loop = self._loop
        loop.add_reader(self._pipe.fileno(), self._receive_or_leave)
        loop.set_task_factory(self._task_factory)
        loop.set_exception_handler(self._hear_error)
        if loop.get_debug() != self._debug:
            loop.set_debug(self._debug)

    def _make_pool(self, name: str) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(
            MOST_THREADS, thread_name_prefix=name, initializer=self._left_behind.add_current
        )

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
            self._left_behind.look()
        except KindUnknown as error:  # its module has changed since another host listed it
            self._gather_ending(request.number, error)
            return
        if self._loop.get_task_factory() is not self._task_factory:
            # One that a handler has set may make no tasks at all.
            self._loop.set_task_factory(self._task_factory)
        run.start()
        self._lag.measure()

    def _make_run(self, request: Request) -> Run:
        handler = self._registry[request.kind]
        report = Reporter(lambda progress: self._pipe.send(("progress", request.number, progress)))
        common = (request, handler, self._loop, self._lag, report, self._end)
        if handler.runs_in == "loop":
            return LoopRun(*common)
        return ThreadRun(self._threads.submit, self._pipe.leave_if_forked, *common)

    def _end(self, run: Run, ending: Ending) -> None:
        self._pipe.leave_if_forked()
        self._loop.children.restore()
        self._left_behind.look()
        if isinstance(ending, NotBegun):
            self._pipe.send(("spoilt",))
        elif not isinstance(ending, bytes | Disturbed) and self._is_doubtful(run, ending):
            ending = Disturbed(ending)
        self._doubtful.discard(run.request.number)
        if self._runs.pop(run.request.number, None) is not None:
            finish_job(run.request.job)
            self._gather_ending(run.request.number, ending)

    def _is_doubtful(self, run: Run, error: BaseException) -> bool:
        """Tell whether this may not be the job's own, and nor may a delay after what happened to the loop."""
        return self._doubt(error, run.started) or (
            isinstance(error, TimedOut) and run.request.number in self._doubtful
        )

    def _doubt(self, error: BaseException, since: float) -> bool:
        """Judge an error; one that comes from outside may have hurt all jobs in hand, so the host is replaced."""
        if not self._left_behind.may_have_raised(error, since):
            return False
        self._doubtful |= self._runs.keys()
        self._pipe.send(("spoilt",))
        return True

    def _hear_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what a callback has raised, or a task that nobody has awaited: the loop's exception handler."""
        if "handle" in context and (error := context.get("exception")) is not None:
            self._doubt(error, monotonic() - RECENT_S)
        loop.default_exception_handler(context)

    def _gather_ending(self, number: int, ending: Ending) -> None:
        """Tell the consumer, together with what else ends in this turn of the loop."""
        if not self._ended:
            self._loop.call_soon(self._send_ended)
        self._ended.append(("ended", number, *encode_ending(ending)))

    def _send_ended(self) -> None:
        try:
            ended, self._ended = self._ended, []
            self._ended_jobs += len(ended)
            self._pipe.send(*ended)
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the endings are lost
            break_off(error)


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing: KeyboardInterrupt would come up in whatever job runs just then."""
