"""Claim jobs for both intakes: if the record goes away, no lane stops, no claim is lost, and no job starts twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic

from consumer.announcer import Announcer
from consumer.execution import Execution
from consumer.failure_report import report_failed, report_unforeseen
from consumer.lane_slots import LaneSlots
from sluice.core.job import Job
from sluice.core.ports import JobStore
from sluice.core.runtime.telemetry import Event, Telemetry

PAUSE_S = 0.5
"""Seconds until a record that did not answer is asked again."""
DOUBT_S = 30.0
"""Seconds for which a call without a reply may take to commit, as it may reach PostgreSQL after what was sent later: a lease that cannot be renewed for so long is lost anyway."""


@dataclass
class Doubt:
    """Until when a call without a reply may commit, when to look for what it claimed, and how long to wait after that look."""

    until: float
    look_at: float
    pause_s: float


class Claims:
    """Claims jobs of the kinds this consumer knows, up to their versions.

    A claim whose reply was lost is found again: its jobs run under this consumer's name and are not in hand. After the last look in a
    lane, which finds those that are among its oldest, `on_doubt_over` is called.
    """

    def __init__(  # noqa: PLR0913  the parts that it joins
        self,
        jobs: JobStore,
        kinds: Mapping[str, int],
        execution: Execution,
        announcer: Announcer,
        telemetry: Telemetry,
        *,
        pause_s: float = PAUSE_S,
        doubt_s: float = DOUBT_S,
        on_doubt_over: Callable[[], object] = lambda: None,
    ) -> None:
        self._jobs, self._kinds = jobs, kinds
        self._execution, self._announcer, self._telemetry = execution, announcer, telemetry
        self._pause_s, self._doubt_s, self._on_doubt_over = pause_s, doubt_s, on_doubt_over
        self._doubts: dict[str, Doubt] = {}

    async def claim(self, slots: LaneSlots, ids: Sequence[str]) -> list[Job]:
        """Claim these jobs; ids that are not returned could not be claimed. Returns early if the lane is closed."""
        self._telemetry.count_batch("claim", len(ids))
        try:
            jobs = await self._jobs.claim(ids, self._kinds)
        except Exception as error:  # noqa: BLE001  nobody would notice a lane that died
            report_unforeseen(self._telemetry, "claim", error)
            self._doubt(slots)
            jobs = await self._claim_again(slots, ids)
        self._telemetry.emit(Event.CLAIMED, len(jobs))
        return jobs

    async def pull(self, slots: LaneSlots, limit: int, turns: Mapping[str, int]) -> list[Job]:
        """Claim the oldest queued jobs of the lane, the priorities in turns; overdue jobs come back failed.

        If the reply was lost, these are the claims that can be found, perhaps more than `limit`.
        """
        lane = slots.lane.name
        try:
            return await self._jobs.pull(lane, limit, self._kinds, turns)
        except Exception as error:  # noqa: BLE001  as above
            report_unforeseen(self._telemetry, "pull", error)
            self._doubt(slots)
        found: list[Job] = []

        async def recover() -> None:
            found.extend(await self._recover_lane(lane))

        await self._try_until_answered(slots, "pull", recover)
        return found

    def in_doubt(self, lane: str) -> bool:
        """Tell whether to look for claims of this lane that are not in hand: of a call without a reply that commits late."""
        doubt = self._doubts.get(lane)
        return doubt is not None and doubt.look_at <= monotonic()

    async def find_late(self, lane: str, limit: int) -> list[Job]:
        """Find such claims, as many as there are slots for; the others are left to the next look.

        A look reads much where much waits, so the pauses grow, and the last look ends the doubt even if it fails.
        """
        doubt, now, found = self._doubts[lane], monotonic(), []
        try:
            found = await self._recover_lane(lane)
        except Exception as error:  # noqa: BLE001  as above
            report_unforeseen(self._telemetry, "find-late", error)
        if len(found) > limit or doubt is not self._doubts[lane]:
            return found[:limit]
        if now >= doubt.until:
            del self._doubts[lane]
            self._on_doubt_over()
        else:
            doubt.look_at, doubt.pause_s = min(now + doubt.pause_s, doubt.until), doubt.pause_s * 2
        return found

    async def defer_unclaimed(self, ids: Collection[str]) -> None:
        """Have the record deal with ids that could not be claimed: they are void, overdue, or not for this consumer."""
        if not ids:
            return
        self._telemetry.emit(Event.VOID, len(ids))
        try:
            overdue = await self._jobs.defer_unclaimed(list(ids), self._kinds)
        except Exception as error:  # noqa: BLE001  the keeper finds later what was to be put off here
            report_unforeseen(self._telemetry, "defer_unclaimed", error)
            return
        self.report_overdue(overdue)

    def report_overdue(self, jobs: Sequence[Job]) -> None:
        """Report and announce jobs that failed because their deadline had passed."""
        report_failed(self._telemetry, jobs)
        self._announcer.jobs_changed(*jobs)

    def _doubt(self, slots: LaneSlots) -> None:
        now, first_pause_s = monotonic(), self._doubt_s / 64
        self._doubts[slots.lane.name] = Doubt(now + self._doubt_s, now, first_pause_s)

    async def _claim_again(self, slots: LaneSlots, ids: Sequence[str]) -> list[Job]:
        found: list[Job] = []

        async def claim_and_recover() -> None:
            """The look comes last, and alone counts: what was claimed before it may have been under a lease that is lost by now.

            Jobs that are locked, by a lost claim that is being committed, say, are left to the looks for late ones and for lost messages.
            """
            await self._jobs.claim(ids, self._kinds, skip_locked=True)
            found.extend(await self._recover(partial(self._jobs.recover_lost_claims, ids)))

        await self._try_until_answered(slots, "claim", claim_and_recover)
        return found

    async def _recover_lane(self, lane: str) -> list[Job]:
        return await self._recover(partial(self._jobs.recover_lane_claims, lane, self._kinds))

    async def _recover(self, find: Callable[[], Awaitable[list[Job]]]) -> list[Job]:
        """Find claims whose reply was lost, among the jobs that run under this consumer's name."""
        in_hand = self._execution.in_hand  # before the look: meanwhile a job may end, but none begin
        return [job for job in await find() if job.claim not in in_hand]

    async def _try_until_answered(
        self, slots: LaneSlots, step: str, act: Callable[[], Awaitable[None]]
    ) -> None:
        while not slots.closed:
            await asyncio.sleep(self._pause_s)
            try:
                await act()
            except Exception as error:  # noqa: BLE001  as above
                report_unforeseen(self._telemetry, step, error)
                self._doubt(slots)
            else:
                return
