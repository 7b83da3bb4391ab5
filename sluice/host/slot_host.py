"""A process slot at work, all in the main thread: a job in → run it as if it were the first → its ending out.

To stop a job, the consumer kills the process. So nothing but the next job is ever received.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from contextvars import copy_context
from time import monotonic
from typing import Any, NoReturn

from sluice.core.outcome import Ending, plain_ending
from sluice.core.registry import Registry
from sluice.handler_io import write_output
from sluice.host.background import SessionWeight
from sluice.host.breaking_off import break_off, leave
from sluice.host.current_job import CURRENT, set_only_job
from sluice.host.ending import INTERRUPTED, Disturbed, encode_ending, raised
from sluice.host.left_behind import LeftBehind
from sluice.host.limits import Pulse
from sluice.host.logs import finish_job
from sluice.host.performing import Reporter, Request, call
from sluice.host.pipe import Pipe
from sluice.host.processes import children_of, end_descendants
from sluice.host.surroundings import Surroundings
from sluice.host.watch import start_watching

MOST_STUMBLES = 100
"""How often a job may break off what is done after it; then something else is wrong, a lack of memory perhaps."""


class SlotHost:
    """Runs the jobs that its consumer sends, one after the other, for as long as that is there.

    A signal handler that a job has set up may raise at any moment, also when the job has ended: then `_go_on` is called again.
    `_ending` is how the job in hand has ended; empty until that is known.
    """

    def __init__(self, pipe: Pipe, registry: Registry[Any]) -> None:
        self._pipe, self._registry = pipe, registry
        self._surroundings, self._own_helpers = Surroundings(), children_of(os.getpid())
        self._left_behind = LeftBehind()
        self._pulse = Pulse(pipe.send)
        self._waiting: deque[Request] = deque()
        self._request: Request | None = None
        self._report: Reporter | None = None
        self._ending: Ending = b""
        self._stumbles = 0
        self._started = 0.0

    def serve(self) -> NoReturn:
        """Run jobs for ever."""
        weight = SessionWeight(None)
        weight.keep()
        start_watching(self._pipe, (self._tick, weight.keep), leave)
        self._left_behind.count_own()
        self._surroundings.disarm()
        while True:
            try:
                while True:
                    self._step()
            except BaseException as error:  # noqa: BLE001  a second one, just as the first was taken in
                self._ending = self._ending or error

    def _step(self) -> None:
        try:
            self._go_on()
            self._stumbles = 0
        except BaseException as error:  # noqa: BLE001  whatever a signal handler raises
            self._ending = self._ending or error
            self._stumbles += 1
            if self._stumbles > MOST_STUMBLES:
                break_off(error)

    def _go_on(self) -> None:
        """Run the next job; or end the one whose run was broken off here."""
        if self._request is None:
            self._request = self._receive()
            self._run(self._request)
        self._clean_up()
        self._tell_ending(self._request, self._ending or Disturbed(INTERRUPTED))
        self._request, self._ending = None, b""

    def _receive(self) -> Request:
        try:
            while not self._waiting:
                self._waiting.extend(Request(*values) for _, *values in self._pipe.receive())
            return self._waiting.popleft()
        except EOFError:
            leave()
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the message is lost
            break_off(error)

    def _run(self, request: Request) -> None:
        self._started = monotonic()
        self._left_behind.look()
        self._surroundings.restore()
        set_only_job(request.job)
        number = request.number
        self._report = Reporter(lambda progress: self._pipe.send(("progress", number, progress)))
        self._ending = copy_context().run(self._perform, request, self._report)

    def _perform(self, request: Request, report: Reporter) -> Ending:
        try:
            CURRENT.set(request.job)
            handler = self._registry[request.kind]
            with self._surroundings.interruptible():
                return write_output(handler, call(handler, request, report, _never))
        except BaseException as error:  # noqa: BLE001  sys.exit() in a handler ends the attempt, not the host
            return self._read_error(raised(error))

    def _read_error(self, error: BaseException) -> Ending:
        """Read an error as an ending, without the frames that hold what has filled the memory."""
        if isinstance(error, Disturbed):
            return error
        ending = plain_ending(error)
        return Disturbed(ending) if self._left_behind.may_have_raised(error, self._started) else ending

    def _clean_up(self) -> None:
        self._pipe.leave_if_forked()
        self._surroundings.disarm()
        if self._report is not None:
            self._report.ended = True
        end_descendants(self._own_helpers | _helpers_of_multiprocessing())

    def _tell_ending(self, request: Request, ending: Ending) -> None:
        try:
            if isinstance(ending, BaseException):
                ending = self._read_error(ending)
            if self._surroundings.spoilt or isinstance(ending, Disturbed):
                self._pipe.send(("spoilt",))
            finish_job(request.job)
            self._pipe.send(("ended", request.number, *encode_ending(ending)))
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the ending is lost
            break_off(error)

    def _tick(self) -> None:
        """Send progress that waited, and what this process uses. Called in another thread."""
        if self._report is not None:
            self._report.flush()
        self._left_behind.look()
        self._pulse.tick()


def _never() -> bool:
    """Tell the job that nobody has asked it to stop: it is killed then."""
    return False


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
