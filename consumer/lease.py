"""Renew leases: one heartbeat for all attempts in hand.

It also knows when to stop: an attempt that outlives all its limits is not renewed, and a claim that could not be renewed in
time is given up before the record gives it to another consumer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic

from consumer.attempt import Attempt
from sluice.core.job import Claim
from sluice.core.ports import Beat, HeartbeatStore
from sluice.core.runtime.tasks import TaskSet

LOG = logging.getLogger("sluice.lease")
PROGRESS_S = 0.5
"""How soon the record hears of progress."""


class HeldAttempt:
    """What the heartbeat knows about one attempt."""

    __slots__ = ("attempt", "cancel_reported", "renewed", "sent")

    def __init__(self, attempt: Attempt, now: float) -> None:
        self.attempt = attempt
        self.renewed = now
        self.sent: bytes | None = None
        self.cancel_reported = False

    @property
    def new_progress(self) -> bytes | None:
        """Progress that the record has not seen yet."""
        progress = self.attempt.progress
        return None if progress is self.sent else progress


class Leases:
    """Renews the leases of all attempts in hand.

    `lease_s` is how long a claim holds in the record, `beat_s` the time between two heartbeats, `spare_s` how long beyond
    its time limit an attempt may be in hand. `on_lost` and `on_cancel` are called once per attempt, `on_moved` with the new
    versions of jobs whose progress was stored.
    """

    def __init__(  # noqa: PLR0913  durations that tests shorten, and the three callbacks
        self,
        open_store: Callable[[], Awaitable[HeartbeatStore]],
        *,
        lease_s: float,
        beat_s: float,
        spare_s: float,
        on_lost: Callable[[Attempt], None],
        on_cancel: Callable[[Attempt], None],
        on_moved: Callable[[dict[str, int]], None] = lambda _: None,
    ) -> None:
        self._open_store = open_store
        self._fence_s = lease_s - lease_s / 5
        self._beat_s, self._spare_s = beat_s, spare_s
        self._tick_s = min(beat_s / 4, lease_s / 20)
        self._on_lost, self._on_cancel, self._on_moved = on_lost, on_cancel, on_moved
        self._held: dict[Claim, HeldAttempt] = {}
        self._store: HeartbeatStore | None = None
        self._asked_for = asyncio.Event()
        self._tasks: TaskSet[None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Leases: {len(self._held)} held>"

    def start(self) -> None:
        """Start the heartbeat."""
        self._tasks.start(self._beat_for_ever(), "beat")
        self._tasks.start(self._watch(), "watch-leases")

    def hold(self, attempt: Attempt) -> None:
        """Keep this claim alive from now on."""
        self._held[attempt.claim] = HeldAttempt(attempt, monotonic())

    def drop(self, attempt: Attempt) -> None:
        """Stop keeping this claim alive: the attempt is settled."""
        self._held.pop(attempt.claim, None)

    def beat_soon(self, job_id: str) -> None:
        """Ask the record at once if this job is in hand: its cancel was requested."""
        if any(claim.id == job_id for claim in self._held):
            self._asked_for.set()

    async def close(self) -> None:
        """Stop beating. Bounded, even if the record is frozen."""
        await self._tasks.cancel()
        await self._close_store()

    async def _beat_for_ever(self) -> None:
        while True:
            began = monotonic()
            self._asked_for.clear()  # before the beat: what is asked for while it is under way may be too late for it
            good = await self._beat_once()
            await self._rest(began + (self._beat_s if good else self._beat_s / 5))

    async def _rest(self, until: float) -> None:
        """Wait for the next heartbeat, which comes early if there is progress to show or a client asked for a stop."""
        while (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, PROGRESS_S)):
                    await self._asked_for.wait()
            if self._asked_for.is_set() or any(held.new_progress for held in self._held.values()):
                return

    async def _beat_once(self) -> bool:
        """Send one heartbeat for everything in hand; false if the record did not answer."""
        now = monotonic()
        holds = [held for held in self._held.values() if self._may_renew(held, now)]
        if not holds:
            return True
        progress = [held.new_progress for held in holds]
        try:
            async with asyncio.timeout(self._beat_s):
                if self._store is None:
                    self._store = await self._open_store()
                claims = [(held.attempt.claim, new) for held, new in zip(holds, progress, strict=True)]
                beats = await self._store.beat(claims)
        except Exception as error:  # noqa: BLE001  whatever it is, the next beat comes soon
            LOG.warning("a heartbeat failed: %s: %s", type(error).__name__, error)
            await self._close_store()
            return False
        for held, new in zip(holds, progress, strict=True):
            held.sent = new or held.sent
        self._take_answer(holds, beats, now)
        return True

    def _take_answer(self, holds: Sequence[HeldAttempt], beats: Sequence[Beat], sent_at: float) -> None:
        """Count as renewed what came back; the rest belongs to somebody else by now."""
        alive = {Claim(beat.id, beat.fence): beat for beat in beats}
        moved = {beat.id: beat.version for beat in beats if beat.moved}
        if moved:
            self._on_moved(moved)
        for held in holds:
            beat = alive.get(held.attempt.claim)
            if beat is None:
                self._lose(held)
                continue
            held.renewed = sent_at
            if beat.cancel_requested and not held.cancel_reported and self._holds(held):
                held.cancel_reported = True
                self._on_cancel(held.attempt)

    async def _watch(self) -> None:
        """Watch the clock, whatever the record does meanwhile."""
        while True:
            now = monotonic()
            for held in list(self._held.values()):
                if now > held.renewed + self._fence_s:
                    self._lose(held)
            await asyncio.sleep(self._tick_s)

    def _may_renew(self, held: HeldAttempt, now: float) -> bool:
        """Renew an attempt while it waits for a host, and until all its limits are over."""
        if now > held.renewed + self._fence_s:  # frozen for longer: the record may have given it away
            return False
        attempt = held.attempt
        return attempt.waiting or now <= attempt.started + attempt.time_limit_s + self._spare_s

    def _lose(self, held: HeldAttempt) -> None:
        """Tell the flow that a lease is lost, unless the attempt was settled meanwhile."""
        if self._holds(held):
            self.drop(held.attempt)
            self._on_lost(held.attempt)

    def _holds(self, held: HeldAttempt) -> bool:
        return self._held.get(held.attempt.claim) is held

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                async with asyncio.timeout(self._beat_s):
                    await store.close()
