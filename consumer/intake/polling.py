"""The other intake: while RabbitMQ is away, claim jobs straight from the record, into the same slots and shares.

It switches back by itself. If a message brings the id of a job that was pulled before, that id is void, like any that comes
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random

from consumer.execution import Execution
from consumer.intake.claiming import Claims
from consumer.lane_slots import LaneSlots
from sluice.core.job import Job, JobState
from sluice.core.lanes import Turns
from sluice.core.runtime.telemetry import Event, Telemetry

WATCH_S = 0.1
"""Seconds between two looks at RabbitMQ."""

REST_S = (0.25, 1.0)
"""Least and most seconds until the next look at a record that had less than there were free slots."""


class FallbackPoller:
    """Fills the slots of lanes from the record while `silent_s`, the seconds since RabbitMQ worked, is `after_s` or more.

    `on` says whether it is doing so.
    """

    def __init__(  # noqa: PLR0913  pauses that tests shorten
        self,
        claims: Claims,
        execution: Execution,
        telemetry: Telemetry,
        silent_s: Callable[[], float],
        after_s: float,
        *,
        watch_s: float = WATCH_S,
        rest_s: tuple[float, float] = REST_S,
    ) -> None:
        self._claims, self._execution, self._telemetry = claims, execution, telemetry
        self._silent_s, self._after_s = silent_s, after_s
        self._watch_s, self._rest_s = watch_s, rest_s
        self._rng = Random()  # noqa: S311  jitter
        self._calls: dict[str, asyncio.Event] = {}
        self.on = False

    def __repr__(self) -> str:
        return f"<FallbackPoller {'on' if self.on else 'off'}>"

    async def watch(self) -> None:
        """Turn polling on and off, for ever."""
        while True:
            if self.on != (self._silent_s() >= self._after_s):
                self.on = not self.on
                self._telemetry.emit(Event.PULLING_STARTED if self.on else Event.PULLING_ENDED)
                self.call()
            await asyncio.sleep(self._watch_s)

    def call(self, lane: str = "") -> None:
        """Look at once: there may be something to pull in this lane, or in any."""
        for name, called in self._calls.items():
            if lane in ("", name):
                called.set()

    async def serve(self, slots: LaneSlots) -> None:
        """Pull for one lane until it is closed (call `call` then)."""
        called = self._calls.setdefault(slots.lane.name, asyncio.Event())
        turns = Turns()
        while not slots.closed:
            called.clear()  # before the look: what is called for while it is under way may be too late for it
            if not (self._may_pull(slots) and await self._pull(slots, turns)):
                await self._rest(called)

    async def _rest(self, called: asyncio.Event) -> None:
        """Wait until the next look, or until it is called for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rng.uniform(*self._rest_s)):
                await called.wait()

    async def _pull(self, slots: LaneSlots, turns: Turns) -> bool:
        """Look once for all free slots; true if there was something for each, and so perhaps more."""
        free = await slots.take_all()
        async with slots.claiming:
            found = await self._claim(slots, free, turns) if self._may_pull(slots) and free else []
            claimed = [job for job in found if job.state == JobState.RUNNING]
            slots.free(free - len(claimed))
            self._execution.start(claimed, slots)
        self._claims.report_overdue([job for job in found if job.state == JobState.FAILED])
        self._telemetry.emit(Event.CLAIMED, len(claimed))
        self._telemetry.emit(Event.PULLED, len(claimed))
        return 0 < free == len(found)

    async def _claim(self, slots: LaneSlots, limit: int, turns: Turns) -> list[Job]:
        lane = slots.lane.name
        late = await self._claims.find_late(lane, limit) if self._claims.in_doubt(lane) else []
        if late or not self.on:
            return late
        found = await self._claims.pull(slots, limit, turns.had)
        turns.took(job.priority for job in found)
        return found[:limit]

    def _may_pull(self, slots: LaneSlots) -> bool:
        return self.on or self._claims.in_doubt(slots.lane.name)
