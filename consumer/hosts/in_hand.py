"""The attempts that one host has in hand: sent, asked to end, ended, or lost with the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from functools import partial
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

from consumer.attempt import Attempt
from sluice.core.outcome import ChildDied, Ending, Released
from sluice.host.client_line import encode_line
from sluice.host.current_job import JobRef
from sluice.host.dumps import functions_that_block
from sluice.host.ending import decode_ending
from sluice.host.log_line import LogLine

NUMBERS = count(1)
AGAIN_S = 0.5
"""Seconds until a run whose time is up is looked at again, if something else holds its host up."""


class Interrupted(Exception):
    """The run was ended by something that may have been another job's doing. `suspected`: it is more likely to be its own."""

    def __init__(self, suspected: bool = False) -> None:
        super().__init__()
        self.suspected = suspected


class Run:
    """An attempt, who waits for its ending, and for how long its host had been held up when it began (None: no longer of use)."""

    __slots__ = ("attempt", "done", "held_up_s")

    def __init__(self, attempt: Attempt, done: asyncio.Future[Ending], held_up_s: float) -> None:
        self.attempt, self.done = attempt, done
        self.held_up_s: float | None = held_up_s


class Stopping(NamedTuple):
    """How the host's jobs are ended: asked to, and then `grace_s` seconds later by `kill`, if there is but one at a time.

    `held_up` tells that the host does not answer at present, and `held_up_s` for how long it has not in all. `on_late` is called
    for a job that did not end in time.
    """

    kill: Callable[[], None] | None
    grace_s: float
    held_up: Callable[[], bool]
    held_up_s: Callable[[], float]
    on_late: Callable[[Attempt], None]


def _run_message(number: int, attempt: Attempt) -> tuple[Any, ...]:
    job, kind, limit_s = attempt.job, attempt.info.kind, attempt.time_limit_s
    given, trace = job.input or b"", attempt.traceparent
    return "run", number, job.id, kind, job.attempt, job.fence, limit_s, given, trace


class InHand:
    """Runs attempts in a host to which `send` sends."""

    def __init__(self, send: Callable[[tuple[Any, ...]], None], stopping: Stopping) -> None:
        self._send, self._stopping = send, stopping
        self._runs: dict[int, Run] = {}
        self._attempts: dict[object, Attempt] = {}
        """The newest attempt in hand of each job."""
        self._had = 0

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def only_job(self) -> JobRef | None:
        """The job in hand, if there is exactly one."""
        if len(self._runs) != 1:
            return None
        attempt = next(iter(self._runs.values())).attempt
        job = attempt.job
        return JobRef(job.id, job.kind, job.attempt, attempt.traceparent[3:35])

    def kind_of(self, job_id: str) -> str:
        """Return the kind of a job in hand; empty if it is not."""
        kinds = (run.attempt.info.kind for run in self._runs.values() if run.attempt.job.id == job_id)
        return next(kinds, "")

    async def run(self, attempt: Attempt) -> Ending:
        """Run one job; returns how it ended. Raises Interrupted if its host was lost and another job may be the cause."""
        self._had += 1
        number, loop = next(NUMBERS), asyncio.get_running_loop()
        run = self._runs[number] = Run(attempt, loop.create_future(), self._stopping.held_up_s())
        self._attempts[attempt.job.id] = attempt
        attempt.begin(partial(self._ask, number))
        timer = loop.call_later(attempt.time_limit_s + self._stopping.grace_s, self._expire, number)
        self._send(_run_message(number, attempt))  # no name is left here that would hold the input
        try:
            return await run.done
        except asyncio.CancelledError:
            attempt.stop(Released())
            raise
        finally:
            timer.cancel()
            attempt.on_stop = None
            del self._runs[number]
            if self._attempts.get(attempt.job.id) is attempt:
                del self._attempts[attempt.job.id]

    def end(self, number: int, word: str, values: list[Any]) -> None:
        """Take in an ending that the host has sent. Raises ValueError if it is none."""
        run = self._runs.get(number)
        if run is None or run.done.done():
            return
        if word == "not-begun" or (word == "disturbed" and self._had > 1):
            run.done.set_exception(Interrupted())
            return
        if word == "disturbed":
            word, *values = values
        run.done.set_result(decode_ending(word, tuple(values)))

    def progress(self, number: int, progress: bytes) -> None:
        """Take in progress, which the lease fetches."""
        run = self._runs.get(number)
        if run is not None:
            run.attempt.report(progress)

    def add_line(self, line: LogLine) -> None:
        """Take in a line that a client may read, if it names the attempt that it is of."""
        attempt = self._attempts.get(line.fields.get("job_id"))
        if attempt is not None and line.fields.get("attempt") == attempt.job.attempt:
            attempt.add_line(encode_line(line))

    def lose(self, how: str, blamed: str | None) -> None:
        """End what is left, as the host is gone: `blamed` is the job that seems to have done it, if there is one.

        Else it is charged to a job that was the only one it ever had. What earlier ones have left behind is as suspect as what
        runs beside: a thread, a timer, memory that they have overwritten.
        """
        left = [run for run in self._runs.values() if not run.done.done()]
        if blamed is None and len(left) == 1 and self._had == 1:
            blamed = left[0].attempt.job.id
        for run in left:
            attempt, done = run.attempt, run.done
            is_blamed = attempt.job.id == blamed
            if attempt.stopped is not None:
                done.set_result(attempt.stopped)
            elif blamed is None or (is_blamed and self._had > 1):
                done.set_exception(Interrupted(suspected=is_blamed))
            else:
                done.set_result(ChildDied(how) if is_blamed else Released())

    def give_back(self) -> None:
        """Give back what is left: its host is about to be ended, by nobody's fault."""
        for run in self._runs.values():
            if not run.done.done():
                run.done.set_result(Released())

    def find_on_stack(self, dump: str, user_files: Container[str]) -> str | None:
        """Find the one job whose function stands on the stack that a blocked host has written; None if it is not one alone."""
        standing = functions_that_block(dump, user_files)
        places = {run.attempt.job.id: run.attempt.info for run in self._runs.values()}
        found = [
            job_id
            for job_id, info in places.items()
            if (info.file, info.function.rpartition(".")[2]) in standing
        ]
        return found[0] if len(found) == 1 else None

    def _ask(self, number: int) -> None:
        if self._stopping.kill is not None and not self._stopping.grace_s:
            self._stopping.kill()
        else:
            self._send(("cancel", number))
            asyncio.get_running_loop().call_later(self._stopping.grace_s, self._expire, number)

    def _expire(self, number: int, late: bool = False) -> None:
        """End a run whose time is up, although it was asked to end; one that is alone in its process is killed.

        `late`: another held up the host when the time was up, so the run may have begun only now.
        """
        run = self._runs.get(number)
        if run is None or run.done.done():
            return
        if self._stopping.kill is not None:
            run.attempt.on_stop = None
            run.attempt.time_out()
            self._stopping.kill()
        elif not self._stopping.held_up():
            if run.attempt.stopped is None and (late or self._was_held_up(run)):
                self._count_anew(number, run.attempt)
            else:
                self._leave_behind(run)
        elif run.attempt.stopped is None:
            run.attempt.started = monotonic() - run.attempt.time_limit_s  # or its lease would call it overdue
            asyncio.get_running_loop().call_later(AGAIN_S, self._expire, number, True)
        else:  # it hears of that when it can, or ends with its host
            run.done.set_result(Released())

    def _was_held_up(self, run: Run) -> bool:
        """Tell, once for each run, whether its host has been held up meanwhile, so that the time limit ends later there."""
        before, run.held_up_s = run.held_up_s, None
        return before is not None and self._stopping.held_up_s() > before

    def _count_anew(self, number: int, attempt: Attempt) -> None:
        """Count the time limit from now."""
        attempt.started = monotonic()
        limit_s = attempt.time_limit_s + self._stopping.grace_s
        asyncio.get_running_loop().call_later(limit_s, self._expire, number)

    def _leave_behind(self, run: Run) -> None:
        """Count a job as over whose handler goes on."""
        run.attempt.on_stop = None
        run.attempt.time_out()
        run.done.set_result(Released())
        self._stopping.on_late(run.attempt)
