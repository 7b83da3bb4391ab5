"""Pull: while RabbitMQ is away, jobs are claimed straight from the record, into the same slots and by the same shares.

It goes back by itself. A hint for a job that was pulled is void when it comes, as any other that comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

from consumer.execution import PAUSE_S, Execution
from consumer.intake.lane_buffer import LaneBuffer
from sluice.core.job import Job, JobState
from sluice.core.lanes import Turns
from sluice.core.ports import PollingStore
from sluice.core.runtime.telemetry import Event, Telemetry

WATCH_S = 0.1
"""Seconds between two looks at RabbitMQ."""

REST_S = (0.25, 1.0)
"""Least and most seconds until the next look at a record that had less than there were free slots."""


class FallbackPoller:
    """Fills the slots of lanes from the record while `silent_s`, the seconds since RabbitMQ worked, is `after_s` or more.

    `on` says whether it does.
    """

    def __init__(
        self,
        execution: Execution,
        store: PollingStore,
        kinds: Sequence[str],
        telemetry: Telemetry,
        silent_s: Callable[[], float],
        after_s: float,
    ) -> None:
        self._execution, self._store, self._kinds = execution, store, kinds
        self._telemetry = telemetry
        self._silent_s, self._after_s = silent_s, after_s
        self._rng = Random()  # noqa: S311  jitter
        self._bells: dict[str, asyncio.Event] = {}
        self.on = False

    def __repr__(self) -> str:
        return f"<Pulling {'on' if self.on else 'off'}>"

    async def watch(self) -> None:
        """Turn pulling on and off, for ever."""
        while True:
            if self.on != (self._silent_s() >= self._after_s):
                self.on = not self.on
                self._telemetry.emit(Event.PULLING_STARTED if self.on else Event.PULLING_ENDED)
                self.call()
            await asyncio.sleep(WATCH_S)

    def call(self, lane: str = "") -> None:
        """There may be something to pull in this lane, or in any: look at once."""
        for name, bell in self._bells.items():
            if lane in ("", name):
                bell.set()

    async def serve(self, queue: LaneBuffer) -> None:
        """The pulls of one lane until it is closed (call `call` then)."""
        bell = self._bells.setdefault(queue.lane.name, asyncio.Event())
        turns = Turns()
        while not queue.closed:
            bell.clear()  # before the look: what is called for while it is under way may be too late for it
            if not (self.on and await self._pull(queue, turns)):
                await self._rest(bell)

    async def _rest(self, bell: asyncio.Event) -> None:
        """Until the next look, or until it is called for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rng.uniform(*REST_S)):
                await bell.wait()

    async def _pull(self, queue: LaneBuffer, turns: Turns) -> bool:
        """One look for all free slots; true where there was something for each, and so perhaps more."""
        slots = await queue.room()
        async with queue.claiming:
            found = await self._take(queue, slots, turns) if self.on and slots else []
            claimed = [job for job in found if job.state == JobState.RUNNING]
            queue.free(slots - len(claimed))
            self._execution.begin(queue, claimed)
        self._execution.fail([job for job in found if job.state == JobState.FAILED])
        self._telemetry.emit(Event.CLAIMED, len(claimed))
        self._telemetry.emit(Event.PULLED, len(claimed))
        return 0 < slots == len(found)

    async def _take(self, queue: LaneBuffer, slots: int, turns: Turns) -> list[Job]:
        """As many jobs as there are slots, however long the record is away; of a lost reply what can be found."""
        try:
            found = await self._store.pull(queue.lane.name, slots, self._kinds, turns.had)
        except Exception as error:  # noqa: BLE001  a lane that died would be missed by nobody
            self._execution.note("pull", error)
            found = await self._find_lost(queue)
        turns.took(job.priority for job in found)
        return found[:slots]

    async def _find_lost(self, queue: LaneBuffer) -> list[Job]:
        """What runs under our name in this lane and is not in hand was claimed by a pull whose reply was lost."""
        while not queue.closed:
            await asyncio.sleep(PAUSE_S)
            in_hand = self._execution.in_hand  # before the look: meanwhile a job may end, but none begin
            try:
                held = await self._store.recover_lane_claims(queue.lane.name)
                return [job for job in held if job.claim not in in_hand]
            except Exception as error:  # noqa: BLE001  as above
                self._execution.note("pull", error)
        return []
