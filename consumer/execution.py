"""A delivery from bytes to settled: decode → take slots → claim → acknowledge → perform → judge → settle.

A message is acknowledged as soon as the record knows who runs its jobs, before the work runs: from then on the lease
keeps them, not RabbitMQ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from random import Random
from time import monotonic

from consumer.attempt import Attempt
from consumer.intake.lane_buffer import LaneBuffer, acknowledge
from consumer.lease import Leases
from consumer.run_stats import RunStats
from consumer.running.runner import Runner
from consumer.settling import Settling
from sluice.core.errors import Malformed, ServerAway, TryAgain
from sluice.core.job import Claim, Job
from sluice.core.outcome import Ending, Released, judge
from sluice.core.ports import Delivery, JobStore
from sluice.core.registry import Registry
from sluice.core.runtime.telemetry import Event, Telemetry

PAUSE_S = 0.5
"""How long a claim waits after the record did not answer."""


class Execution:
    """Runs the jobs of all lanes that this consumer serves."""

    def __init__(
        self,
        registry: Registry,
        store: JobStore,
        runner: Runner,
        leases: Leases,
        settling: Settling,
        telemetry: Telemetry,
    ) -> None:
        self._registry, self._store, self._telemetry = registry, store, telemetry
        self._runner, self._leases, self._settling = runner, leases, settling
        self._rng = Random()  # noqa: S311  jitter
        self._held: dict[Claim, Attempt] = {}
        self._performing: set[asyncio.Task[None]] = set()
        self.newest: dict[tuple[str, str], datetime] = {}
        self.run_stats = RunStats()

    def __repr__(self) -> str:
        return f"<Execution {len(self._held)} jobs in hand>"

    def __len__(self) -> int:
        return len(self._held)

    async def serve(self, queue: LaneBuffer) -> None:
        """The flow of one lane until it is closed: each round claims for all free slots at once."""
        while hands := await queue.take():
            async with queue.claiming:
                jobs = await self._claim(queue, list(hands))
                if not queue.closed:
                    await self._account(hands.keys() - {job.id for job in jobs})
                    acknowledge(hands.values())
                    queue.free(len(hands) - len(jobs))
                self.begin(queue, jobs)

    def begin(self, queue: LaneBuffer, jobs: Sequence[Job]) -> None:
        """Run jobs claimed for slots of this lane; where it was closed meanwhile they are queued again, never begun."""
        self._settling.announce(() if queue.closed else jobs)
        for job in jobs:
            self._start(job, queue)
            if queue.closed:
                self._held[job.claim].stop(Released())

    def fail(self, overdue: Sequence[Job]) -> None:
        """Tell of jobs that failed because their deadline had passed."""
        self._telemetry.emit(Event.FAILED, len(overdue))
        self._settling.announce(overdue)

    @property
    def in_hand(self) -> frozenset[Claim]:
        """The claims in hand: of one job perhaps two, where the lease of the older was lost and nobody said so yet."""
        return frozenset(self._held)

    def deliver(self, queue: LaneBuffer, delivery: Delivery) -> None:
        """Decode: a message that nobody can read is counted and forgotten; the record has its jobs."""
        try:
            self._telemetry.emit(Event.DELIVERED, queue.add(delivery))
        except Malformed as error:
            self._telemetry.emit(Event.UNREADABLE, why=str(error))
            delivery.acknowledge()

    def give_back(self) -> None:
        """Give back what waits for a place to run: it has not begun."""
        for attempt in list(self._held.values()):
            if attempt.waiting:
                attempt.stop(Released())

    def stop(self) -> None:
        """Give back what still runs: the handlers are stopped and their jobs queued again."""
        for attempt in list(self._held.values()):
            attempt.stop(Released())

    async def finish(self) -> None:
        """Wait until nothing is in hand."""
        while self._performing:
            await asyncio.wait(self._performing)

    async def _claim(self, queue: LaneBuffer, ids: Sequence[str]) -> list[Job]:
        """Take the jobs, however long the record is away; claims whose reply was lost are found under our name."""
        try:
            jobs = await self._store.claim(ids, self._registry.names)
        except Exception as error:  # noqa: BLE001  a lane that died would be missed by nobody
            self.note("claim", error)
            jobs = await self._claim_again(queue, ids)
        self._telemetry.emit(Event.CLAIMED, len(jobs))
        return jobs

    async def _claim_again(self, queue: LaneBuffer, ids: Sequence[str]) -> list[Job]:
        jobs: dict[str, Job] = {}
        while not queue.closed:
            await asyncio.sleep(PAUSE_S)
            try:
                jobs |= {
                    job.id: job
                    for job in await self._store.recover_lost_claims(ids)
                    if job.claim not in self._held
                }
                rest = [job_id for job_id in ids if job_id not in jobs]
                return [*jobs.values(), *await self._store.claim(rest, self._registry.names)]
            except Exception as error:  # noqa: BLE001  as above
                self.note("claim", error)
        return list(jobs.values())

    async def _account(self, missing: Collection[str]) -> None:
        """What could not be claimed is void, overdue or not for this consumer; the record decides."""
        if not missing:
            return
        self._telemetry.emit(Event.VOID, len(missing))
        try:
            overdue = await self._store.defer_unclaimed(list(missing), self._registry.names)
        except Exception as error:  # noqa: BLE001  what is put off here is found by the keeper all the same
            self.note("defer_unclaimed", error)
            return
        self.fail(overdue)

    def note(self, step: str, error: Exception) -> None:
        """Of a server that is away its breaker tells; anything else was not foreseen."""
        if not isinstance(error, ServerAway | TryAgain):
            self._telemetry.emit(Event.DUTY_FAILED, duty=step, why=repr(error))

    def _start(self, job: Job, queue: LaneBuffer) -> None:
        attempt = Attempt(job, self._registry[job.kind])
        self._held[attempt.claim] = attempt
        self._leases.hold(attempt)
        self._note_newest(job)
        task = asyncio.get_running_loop().create_task(self._perform(attempt, queue), name=job.id)
        self._performing.add(task)
        task.add_done_callback(self._performing.discard)

    async def _perform(self, attempt: Attempt, queue: LaneBuffer) -> None:
        """Run the handler, judge how it ended, settle."""
        try:
            ending = await self._ended(attempt, queue)
            transition = judge(attempt.job, ending, attempt.handler.retry, self._rng)
            if transition is not None:
                await self._settling.settle(attempt, transition)
        finally:  # whatever went wrong: a lease that nobody uses is not kept alive
            self._leases.drop(attempt)
            del self._held[attempt.claim]

    async def _ended(self, attempt: Attempt, queue: LaneBuffer) -> Ending:
        """Run the handler in its slot."""
        began = monotonic()
        try:
            return await self._runner.run(attempt)
        finally:
            queue.free()
            self.run_stats.note(queue.lane.name, attempt.job.kind, monotonic() - began)

    def _note_newest(self, job: Job) -> None:
        """How far each queue was read, by which the keeper sees jobs that were overtaken."""
        queue = (job.lane, job.priority)
        if job.queued_at and (queue not in self.newest or job.queued_at > self.newest[queue]):
            self.newest[queue] = job.queued_at
