"""A lease over a record in memory, by a clock that moves when told to: a renewal comes when the clock moves on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from consumer.attempt import Attempt
from consumer.lease import Lease
from sluice.core.owner import Owner
from tests.support.fake_lease_store import FakeLeaseStore
from tests.support.waiting import until
from tests.unit.api.in_memory_api import Clock
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt

LEASE_S, FENCE_S, BEAT_S, SPARE_S = 60.0, 48.0, 8.0, 5.0
LOOK_S = 0.005
"""Real time between two looks at the clock."""
REPORT = b'{"default":{}}'


class Scene:
    """A consumer: its lease, the record, and what the flow was told. Deadlines of statements are `beat_s` of real time."""

    def __init__(self, beat_s: float = BEAT_S) -> None:
        self.record, self.owner, self.clock, self.beat_s = FakeLeaseStore(), Owner(), Clock(), beat_s
        self.lost: list[Attempt] = []
        self.losses = 0
        self.overdue: list[Attempt] = []
        self.cancelled: list[Attempt] = []
        self.moved: list[dict[str, int]] = []
        self.lease = Lease(
            self.record.open,
            self.owner,
            report=lambda: REPORT,
            lease_s=LEASE_S,
            beat_s=beat_s,
            spare_s=SPARE_S,
            on_lost=self._lose,
            on_overdue=self.overdue.append,
            on_cancel=self.cancelled.append,
            on_moved=self.moved.append,
        )
        self.lease._tick_s = LOOK_S

    def _lose(self, attempts: list[Attempt]) -> None:
        self.losses += 1
        self.lost += attempts

    def hold(self, timeout_s: float = 3_600) -> Attempt:
        """An attempt that begins now."""
        attempt = an_attempt(kinds.nap, timeout_s=timeout_s)
        attempt.time_limit_s, attempt.started = timeout_s, self.clock()
        self.lease.hold(attempt)
        return attempt

    async def renewed(self) -> None:
        """The next renewal, with its look for cancels."""
        seen = len(self.record.asked)
        self.clock.now += self.beat_s
        await until(lambda: len(self.record.asked) > seen)

    async def failed(self) -> None:
        """The next renewal, which fails."""
        tried = self._tried
        self.clock.now += self.beat_s
        await until(lambda: self._tried > tried)

    @property
    def _tried(self) -> int:
        """A connection that fails is closed, and another opened for the next try."""
        return self.record.opened + self.record.closed

    async def watched(self) -> None:
        """The next look at the clock, which finds an attempt that is late."""
        late = self.hold(timeout_s=0)
        late.started -= 1.5 * SPARE_S
        await until(lambda: late in self.overdue)
        self.overdue.remove(late)
        self.lease.drop(late)


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch, beat_s: float = BEAT_S) -> AsyncIterator[Scene]:
    """A consumer that begins to take its lease."""
    scene = Scene(beat_s)
    monkeypatch.setattr("consumer.lease.monotonic", scene.clock)
    monkeypatch.setattr("consumer.lease.PROGRESS_S", LOOK_S)
    scene.lease.start()
    try:
        yield scene
    finally:
        await scene.lease.close()
