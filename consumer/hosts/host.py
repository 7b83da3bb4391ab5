"""One host as its consumer sees it: loading, ready, at work, blocked, gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, NamedTuple

from consumer.attempt import Attempt
from consumer.hosts.child import Child, ChildListener, HostSpec
from consumer.hosts.in_hand import InHand, Stopping
from sluice.core.catalogue import KindInfo, from_wire
from sluice.core.outcome import Ending
from sluice.errors import StartRefused
from sluice.host.client_line import is_for_client
from sluice.host.current_job import JobRef
from sluice.host.dumps import innermost_line
from sluice.host.frames import Message
from sluice.host.loading import MEND, NO_EXIT, does_not_load
from sluice.host.log_line import LogLine, write
from sluice.host.user_files import UserFiles

LOG = logging.getLogger("sluice.hosts")
QUIET_S = 2.0
"""Seconds without a sign of life from which on something holds a host up."""


class Measures(NamedTuple):
    """What a host uses: MiB of memory, threads, open files; seconds in which it waited for a processor, or its loop was held up."""

    memory_mib: int = 0
    threads: int = 0
    files: int = 0
    waited_s: float = 0.0
    held_up_s: float = 0.0


class Blockage(NamedTuple):
    """What blocks the event loop of a host: kind and id of the job (None: not known), where, and since when (monotonic)."""

    kind: str
    job_id: str | None
    where: str
    since: float


class Death(NamedTuple):
    """How a host died, where it was (empty: not known), and the only job that it had, if it had one. Clients see only how."""

    how: str
    where: str
    job: JobRef | None


class HostListener(NamedTuple):
    """Who hears of a job that did not end in time, of a blockage that is over, of a kind that was seen to hold up the event loop
    (for so many seconds), and how a host died, unless that was wanted."""

    on_late: Callable[[Host, Attempt], None]
    on_blocked: Callable[[Host, Blockage], None]
    on_slow: Callable[[str, float], None]
    on_died: Callable[[Host, Death], None]


class Host:
    """A host process and its jobs. `slot`: it runs one at a time, and is killed to stop it.

    `alone`: it gets but one job; if that does not end when it is asked to, it is killed, too.
    """

    def __init__(
        self, spec: HostSpec, name: str, slot: bool, listener: HostListener, alone: bool = False
    ) -> None:
        self.name, self._spec, self._listener = name, spec, listener
        self._child = Child(
            spec, name, slot, ChildListener(self._hear, self._lose, lambda: self._jobs.only_job)
        )
        stopping = Stopping(
            kill=self._kill if slot or alone else None,
            grace_s=0 if slot else spec.grace_s,
            held_up=lambda: self.quiet_s > QUIET_S,
            held_up_s=lambda: self.uses.held_up_s,
            on_late=lambda attempt: listener.on_late(self, attempt),
        )
        self._jobs = InHand(self._child.send, stopping)
        self._ready: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(
            lambda ready: ready.cancelled() or ready.exception()
        )  # if nobody waits any more
        self._loading = "no module yet"
        self._user_files = UserFiles(spec.modules)
        self._heard = monotonic()
        self._blockage: Blockage | None = None
        self._blocked = False
        self.ending, self.gone = False, asyncio.Event()
        self.started_jobs = 0
        self.spoilt = False
        self.uses = Measures()
        self.weight = ""

    def __repr__(self) -> str:
        return f"<Host {self.name}: {self.in_hand} jobs in hand{', gone' if self.gone.is_set() else ''}>"

    @property
    def in_hand(self) -> int:
        """How many jobs it has."""
        return len(self._jobs)

    @property
    def available(self) -> bool:
        """True while it takes jobs."""
        return not self.ending and not self.gone.is_set() and self._child.listens

    @property
    def room(self) -> asyncio.Event:
        """Set while it has taken all that was sent."""
        return self._child.room

    @property
    def quiet_s(self) -> float:
        """Seconds since its event loop was last heard of."""
        return monotonic() - self._heard

    @property
    def silent_s(self) -> float:
        """Seconds since its event loop was last heard of, but for those in which it could not run: a busy machine blames nobody."""
        return self.quiet_s - (self._spec.waited_s(self._child.pid) - self.uses.waited_s)

    @property
    def blocked_at(self) -> str:
        """The line at which its event loop is blocked; empty: it is not."""
        return self._blockage.where if self._blockage else ""

    async def start(self, check: Callable[[list[KindInfo]], None] = lambda _: None) -> list[KindInfo]:
        """Start the process and load the modules; returns the kinds, after a check. Raises StartRefused, or OSError."""
        await self._child.start()
        try:
            kinds = [from_wire(each) for each in await self._load()]
            check(kinds)
        except BaseException:
            await self._child.end()
            raise
        return kinds

    def run(self, attempt: Attempt) -> Coroutine[Any, Any, Ending]:
        """Run one job; returns how it ended. Raises Interrupted if the host was lost, and another job may be the cause."""
        self.started_jobs += 1
        return self._jobs.run(attempt)

    def replace(self) -> None:
        """End it now; its jobs are given back."""
        self.ending = True
        self._jobs.give_back()
        self._child.kill("It was replaced.")

    async def end_blocked(self) -> None:
        """End a host whose event loop does not answer. The job that blocks it is charged, if it is known."""
        self.ending = self._blocked = True
        await self._abort(f"The event loop was blocked for {self._spec.blocked_s:g} s.")

    async def close(self) -> None:
        """Let it end, and wait for that. Bounded."""
        self.ending = True
        await self._child.retire()

    def _kill(self) -> None:
        """End it now: its only job is to stop."""
        self.ending = True
        self._child.kill()

    async def _load(self) -> list[Any]:
        while not self._ready.done():
            left = self._spec.start_s - self.silent_s
            if left < 0:
                await self._abort("")
                raise StartRefused(self._describe_hang())
            await asyncio.wait([self._ready], timeout=left)
        return self._ready.result()

    async def _abort(self, why: str) -> None:
        """Have it say what it is doing, and end."""
        self._child.abort(why)
        await self.gone.wait()

    def _hear(self, message: Message) -> None:
        word, *values = message
        getattr(self, f"_hear_{word}")(*values)

    def _hear_loading(self, module: str) -> None:
        self._loading = module

    def _hear_ready(self, kinds: list[Any], weight: str) -> None:
        self.weight, self._heard = weight, monotonic()
        self._ready.set_result(kinds)

    def _hear_refused(self, why: str) -> None:
        self._ready.set_exception(StartRefused(why))

    def _hear_ended(self, number: int, word: str, values: list[Any]) -> None:
        self._jobs.end(number, word, values)

    def _hear_progress(self, number: int, progress: bytes) -> None:
        self._jobs.progress(number, progress)

    def _hear_log(self, *values: Any) -> None:
        line = LogLine(*values)
        write(line)
        if is_for_client(line):
            self._jobs.add_line(line)

    def _hear_alive(self, *uses: Any) -> None:
        self._heard = monotonic()
        self.uses = Measures(*uses)

    def _hear_spoilt(self) -> None:
        self.spoilt = True

    def _hear_blocked(self, job_id: str, where: str, seconds: float) -> None:
        kind = self._jobs.kind_of(job_id)
        if self._blockage is None:
            LOG.warning(
                "the event loop of a host is blocked",
                extra={"host": self.name, "kind": kind, "job_id": job_id, "where": where},
            )
        self._blockage = Blockage(kind, job_id or None, where, monotonic() - seconds)

    def _hear_slow(self, job_id: str, seconds: float) -> None:
        if kind := self._jobs.kind_of(job_id):
            self._listener.on_slow(kind, seconds)

    def _hear_resumed(self) -> None:
        self._end_blockage()

    def _end_blockage(self) -> None:
        if self._blockage is not None:
            self._listener.on_blocked(self, self._blockage)
        self._blockage = None

    def _lose(self, how: str) -> None:
        """Take in that the process has ended. No job waits any longer, whatever there is to say about it."""
        try:
            self._take_in_end(how)
        finally:
            self._jobs.lose(how, None)
            self.gone.set()

    def _take_in_end(self, how: str) -> None:
        where = self._blockage.where if self._blockage else self._find_last_line()
        if not self._ready.done():
            self._ready.set_exception(
                StartRefused(does_not_load(self._loading, how.rstrip("."), where, NO_EXIT))
            )
        elif not self.ending and self._ready.exception() is None:
            self._listener.on_died(self, Death(how, where, self._jobs.only_job))
        if self._blocked:  # it was ended for its silence, which began when it was last heard of
            self._blockage = (self._blockage or self._guess_blockage(where))._replace(since=self._heard)
        self._jobs.lose(how, self._blockage.job_id if self._blockage else None)
        self._end_blockage()

    def _describe_hang(self) -> str:
        why = f"it is still loading after {self._spec.start_s:g} s"
        return does_not_load(self._loading, why, self._find_last_line(), MEND)

    def _find_last_line(self) -> str:
        return innermost_line("\n".join(self._child.output.tail), self._user_files)

    def _guess_blockage(self, where: str) -> Blockage:
        """Find what blocked a loop that could not say it, from what the process wrote when it was ended."""
        job_id = self._jobs.find_on_stack("\n".join(self._child.output.tail), self._user_files)
        return Blockage(self._jobs.kind_of(job_id or ""), job_id, where, self._heard)
