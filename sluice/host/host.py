"""A host at work: messages in → runs → endings out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from sluice.core.errors import KindUnknown
from sluice.core.outcome import Ending, Released
from sluice.core.registry import Registry
from sluice.host.breaking_off import break_off
from sluice.host.current_job import CURRENT, JobRef, set_only_job
from sluice.host.ending import encode_ending
from sluice.host.limits import measure
from sluice.host.logs import finish_job
from sluice.host.performing import Reporter, Request
from sluice.host.pipe import Pipe
from sluice.host.runs import Disturbed, LoopRun, NotBegun, Run, ThreadRun

MEASURE_TICKS = 2
"""Ticks from one measurement to the next."""

_INTERRUPTED: dict[type, tuple[str, tuple[()]]] = {Disturbed: ("disturbed", ()), NotBegun: ("not-begun", ())}
"""Endings that are none of the job's own."""

Submit = Callable[[Callable[[], None]], object]


class Host:
    """Runs the jobs that its consumer sends, for as long as that is there. All but `owner_of` belongs to the event loop.

    `submit` hands a plain function to a thread, where `clean_up` is called after each.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipe: Pipe,
        registry: Registry[Any],
        submit: Submit,
        clean_up: Callable[[], None],
        *,
        one_at_a_time: bool = False,
    ) -> None:
        self._loop, self._pipe, self._registry = loop, pipe, registry
        self._submit, self._clean_up, self.one_at_a_time = submit, clean_up, one_at_a_time
        self._runs: dict[int, Run] = {}
        self._ended: list[tuple[object, ...]] = []
        self._task_factory = self.create_task
        self._owners: WeakKeyDictionary[asyncio.Task[Any], JobRef] = WeakKeyDictionary()
        self._ticks = self.ended_jobs = 0

    def receive(self) -> None:
        """Take in what has come from the consumer. Raises EOFError once that is gone."""
        for word, *values in self._pipe.receive_now():
            if word == "run":
                self._start(Request(*values))
            elif word == "cancel" and (run := self._runs.get(values[0])):
                run.stop(Released())

    def tick(self) -> None:
        """Send progress that waited and tell, every second time, what this process uses."""
        for run in self._runs.values():
            run.report.flush()
        if self._ticks % MEASURE_TICKS == 0:
            self._pipe.send(("alive", *measure()))
        self._ticks += 1

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

    def _start(self, request: Request) -> None:
        try:
            run = self._runs[request.number] = self._make_run(request)
        except KindUnknown as error:  # its module has changed since another host listed it
            self._gather_ending(request.number, error)
            return
        if self.one_at_a_time:
            set_only_job(request.job)
        if self._loop.get_task_factory() is not self._task_factory:
            # One that a handler has set may make no tasks at all.
            self._loop.set_task_factory(self._task_factory)
        run.start()

    def _make_run(self, request: Request) -> Run:
        handler = self._registry[request.kind]
        report = Reporter(lambda progress: self._pipe.send(("progress", request.number, progress)))
        common = (request, handler, self._loop, report, self._end)
        in_loop = handler.runs_in == "loop"
        return LoopRun(*common) if in_loop else ThreadRun(self._submit, self._clean_up, *common)

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
        self.ended_jobs += len(ended)
        try:
            self._pipe.send(*ended)
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the endings are lost
            break_off(error)
