"""Run claimed jobs: hold the lease → perform → judge → settle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from random import Random
from time import monotonic
from typing import Protocol

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.lane_slots import LaneSlots
from consumer.lease import Lease
from consumer.live_lines import LiveLinesPoster
from consumer.long_inputs import LongInputs
from consumer.run_stats import RunStats
from consumer.settling import Settling
from sluice.core.catalogue import KindInfo
from sluice.core.job import Claim, Job
from sluice.core.lifecycle import Transition
from sluice.core.outcome import Ending, Released, judge
from sluice.core.registry import Registry
from sluice.core.runtime.tasks import TaskSet

SHOWN_S = 0.05
"""Seconds after which a job that runs is announced as running; one that ends sooner is announced once."""


class Runner(Protocol):
    """Where jobs run: hosts, or this very process."""

    async def run(self, attempt: Attempt) -> Ending:
        """Run a job; returns how it ended."""


class Execution:
    """Runs the jobs of all lanes that this consumer serves.

    `newest_claimed` is when the newest claimed job was queued, by lane and priority: how far each queue has been read, from
    which the keeper can tell which jobs were overtaken.
    """

    def __init__(  # noqa: PLR0913  the parts that it joins
        self,
        kinds: Registry[KindInfo],
        hosts: Runner,
        lease: Lease,
        run_stats: RunStats,
        settling: Settling,
        announcer: Announcer,
        inputs: LongInputs,
        live_lines: LiveLinesPoster,
    ) -> None:
        self._kinds, self._hosts, self._lease, self._run_stats = kinds, hosts, lease, run_stats
        self._settling, self._announcer, self._inputs = settling, announcer, inputs
        self._live_lines = live_lines
        self._rng = Random()  # noqa: S311  jitter
        self._held: dict[Claim, Attempt] = {}
        self._runs: TaskSet[None] = TaskSet()
        self.newest_claimed: dict[tuple[str, str], datetime] = {}

    def __repr__(self) -> str:
        return f"<Execution {len(self._held)} jobs in hand>"

    def __len__(self) -> int:
        return len(self._held)

    @property
    def in_hand(self) -> frozenset[Claim]:
        """The claims in hand: of one job perhaps two, if the older has lost its lease and does not know it yet."""
        return frozenset(self._held)

    def start(self, jobs: Sequence[Job], slots: LaneSlots) -> None:
        """Run jobs claimed for slots of this lane; if it was closed meanwhile, queue them again without starting them."""
        if not slots.closed:
            asyncio.get_running_loop().call_later(SHOWN_S, self._show_running, jobs)
        for job in jobs:
            if job.claim in self._held:
                # A failover had undone its claim, and here it was claimed again: the run goes on.
                slots.free()
                continue
            attempt = self._hold(job)
            self._runs.start(self._run(attempt, slots), job.id)
            if slots.closed:
                attempt.stop(Released())

    def _show_running(self, jobs: Sequence[Job]) -> None:
        self._announcer.jobs_changed(*(job for job in jobs if job.claim in self._held))

    def release_waiting(self) -> None:
        """Give back what waits for a place to run: it has not begun."""
        for attempt in list(self._held.values()):
            if attempt.waiting:
                attempt.stop(Released())

    def release_all(self) -> None:
        """Give back what still runs: the handlers are stopped and their jobs queued again."""
        for attempt in list(self._held.values()):
            attempt.stop(Released())

    async def drain(self) -> None:
        """Wait until nothing is in hand."""
        await self._runs.drain()

    def _hold(self, job: Job) -> Attempt:
        attempt = Attempt(job, self._kinds[job.kind], self._inputs.read)
        attempt.on_line = self._live_lines.add
        self._held[attempt.claim] = attempt
        self._lease.hold(attempt)
        queue = (job.lane, job.priority)
        if job.queued_at and (queue not in self.newest_claimed or job.queued_at > self.newest_claimed[queue]):
            self.newest_claimed[queue] = job.queued_at
        return attempt

    async def _run(self, attempt: Attempt, slots: LaneSlots) -> None:
        freed = False
        try:
            ending = await self._perform(attempt, slots)
            self._lease.drop(attempt)  # it has kept its limits, however long the record takes
            transition = _add_log(attempt, self._judge(attempt, ending))
            if self._settling.has_room:  # else results would gather that are not written
                freed = True
                slots.free()
            await self._settling.settle(attempt, transition)
        finally:  # whatever went wrong: a lease that nobody uses is not kept alive
            if not freed:
                slots.free()
            del self._held[attempt.claim]
            if attempt.log is not None:
                self._live_lines.end(attempt)

    def _judge(self, attempt: Attempt, ending: Ending) -> Transition:
        try:
            return judge(attempt.job, ending, attempt.info.retry, self._rng)
        except Exception as error:  # noqa: BLE001  an ending that cannot be judged is an error, too
            return judge(attempt.job, error, attempt.info.retry, self._rng)

    async def _perform(self, attempt: Attempt, slots: LaneSlots) -> Ending:
        """Run the job in its slot."""
        began = monotonic()
        try:
            ending = await self._hosts.run(attempt)
            if isinstance(ending, bytes) and isinstance(attempt.stopped, Released):
                return ending  # it had succeeded before its host heard of the stop, which says so otherwise
            return attempt.stopped or ending
        except BaseException as error:  # noqa: BLE001  whatever it is: a job that is not settled would run for ever
            return error
        finally:
            self._run_stats.add(slots.lane.name, attempt.job.kind, monotonic() - began)


def _add_log(attempt: Attempt, ending: Transition) -> Transition:
    """Add what the handler has logged: both are written by one statement."""
    return ending if attempt.log is None else ending._replace(log=attempt.log.block(attempt.job.fence))
