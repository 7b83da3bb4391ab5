"""Watch the consumer and the event loop from a thread: end with the one, and say what blocks the other."""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Callable, Container, Sequence
from os import getpid
from threading import Thread, main_thread
from time import monotonic, sleep
from types import FrameType

from sluice.error_text import storable
from sluice.host.breaking_off import break_off
from sluice.host.current_job import JobRef
from sluice.host.lag import Lag
from sluice.host.limits import waited_for_processor_s
from sluice.host.pipe import Pipe

TICK_S = 0.5
SLOW_S = 0.05
"""Seconds of one step of a job from which on it holds others up."""

BLOCKED_S = 1.0
"""Seconds of silence from which on a loop is called blocked."""

STUCK_S = 3.0
"""Seconds for which the host's own code may wait for a thread."""


def start_watching(pipe: Pipe, on_tick: Sequence[Callable[[], None]], on_gone: Callable[[], None]) -> None:
    """Call these in a thread twice a second, and `on_gone` once the consumer is gone."""

    def watch() -> None:
        poll = select.poll()
        poll.register(pipe.fileno(), getattr(select, "POLLRDHUP", select.POLLHUP))
        try:
            while not poll.poll(TICK_S * 1000):
                for each in on_tick:
                    each()
        finally:
            on_gone()

    Thread(target=watch, name="sluice-watch", daemon=True).start()


class LoopWatch:
    """Calls `on_tick` in an event loop whenever that answers, and tells the consumer when it does not.

    `owner_of` finds the job to which a task belongs. `on_slow` is called, in this thread, for a job that holds up the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipe: Pipe,
        lag: Lag,
        on_tick: Callable[[], None],
        owner_of: Callable[[asyncio.Task[object] | None], JobRef | None],
        on_slow: Callable[[JobRef], None],
    ) -> None:
        self._loop, self._pipe, self._lag = loop, pipe, lag
        self._on_tick, self._owner_of, self._on_slow = on_tick, owner_of, on_slow
        self._heard = self._asked = monotonic()
        self._blocked = False
        self._waits_at: tuple[str, float] = "", 0.0

    def look(self) -> None:
        """Ask the loop for an answer; if it owes the last one for long, say what runs in it."""
        now = monotonic()
        if self._heard >= self._asked:
            if self._blocked:
                self._blocked, self._waits_at = False, ("", 0.0)
                self._pipe.send(("resumed",))
            self._asked = now
        elif now - self._asked >= BLOCKED_S:
            self._blocked = True
            job = self._owner_of(asyncio.current_task(self._loop))
            self._pipe.send(("blocked", job.job_id if job else "", find_line(), now - self._asked))
            self._end_if_stuck(now)
        self._look_for_slow_job()
        self._loop.call_soon_threadsafe(
            self._hear
        )  # each time: an answer may be lost to an error from outside

    def _end_if_stuck(self, now: float) -> None:
        """End a host whose own code waits for a thread for ever, as a job has ended that thread from outside: nobody is to blame."""
        place, since = find_own_wait(), now
        if place == self._waits_at[0]:
            since = self._waits_at[1]
        self._waits_at = place, since
        if place and now - since >= STUCK_S:
            break_off(RuntimeError(f"it waits for a thread that does not answer, at {place}"))

    def _look_for_slow_job(self) -> None:
        """Tell the consumer which job holds up the loop in this moment, if one does, for the time that such a look stands for."""
        if self._lag.late_s < SLOW_S:
            return
        waited, task = waited_for_processor_s(getpid()), asyncio.current_task(self._loop)
        sleep(SLOW_S)
        job = self._owner_of(task)
        if (
            job is not None
            and self._lag.late_s > 2 * SLOW_S
            and asyncio.current_task(self._loop) is task
            and waited_for_processor_s(getpid()) - waited < SLOW_S / 2
        ):
            self._on_slow(job)
            self._pipe.send(("slow", job.job_id, TICK_S))

    def _hear(self) -> None:
        self._heard = monotonic()
        self._on_tick()


def find_line() -> str:
    """Find the line that the main thread is running: the innermost one outside the standard library, if there is any."""
    frame: FrameType | None = sys._current_frames().get(main_thread().ident or 0)
    innermost = frame
    while frame is not None and not _is_users(frame):
        frame = frame.f_back
    found = frame or innermost
    if found is None:
        return "the thread is gone"
    return storable(f"{found.f_code.co_filename}:{found.f_lineno} in {found.f_code.co_name}")


def find_own_wait() -> str:
    """Find where the main thread waits for another without a job's code having asked for it; empty if it does not."""
    frame = innermost = sys._current_frames().get(main_thread().ident or 0)
    while frame is not None and _is_of(frame, sys.stdlib_module_names):
        frame = frame.f_back
    if innermost is None or frame is None or not _is_of(innermost, ("threading",)):
        return ""
    # Below `serve` there is what a job has told the loop to call.
    is_own = _is_of(frame, ("sluice",)) and frame.f_code.co_name != "serve"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}" if is_own else ""


def _is_of(frame: FrameType, packages: Container[str]) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in packages


def _is_users(frame: FrameType) -> bool:
    return not (_is_of(frame, sys.stdlib_module_names) or _is_of(frame, ("sluice", "uvloop")))
