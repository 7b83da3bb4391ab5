"""Renew leases: one heartbeat for all attempts in hand, from a thread of its own.

It also knows when to stop: an attempt whose time is over is not renewed, a claim that could not be renewed in time is
given up before the record gives it to another consumer, and a process whose event loop stays silent is ended.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import get_ident
from time import monotonic

from consumer.attempt import Attempt
from consumer.heartbeat_thread import HeartbeatThread
from consumer.loop_watchdog import Blocker, LoopWatchdog, end_process, find_blocker
from sluice.core.job import Claim
from sluice.core.ports import Beat, HeartbeatStore

LOG = logging.getLogger("sluice.lease")
SILENCE_S = 10.0
PROGRESS_S = 0.5
"""How soon the record hears of progress."""


class HeldAttempt:
    """What the heartbeat knows about one attempt."""

    __slots__ = ("attempt", "cancel_reported", "lost_reported", "renewed", "sent")

    def __init__(self, attempt: Attempt, now: float) -> None:
        self.attempt = attempt
        self.renewed = now
        self.sent: bytes | None = None
        self.cancel_reported = False
        self.lost_reported = False

    @property
    def new_progress(self) -> bytes | None:
        """Progress that the record has not seen yet."""
        progress = self.attempt.progress
        return None if progress is self.sent else progress


class Leases:
    """Renews the leases of all attempts in hand.

    `lease_s` is how long a claim holds in the record, `beat_s` the time between two heartbeats, `grace_s` how long an
    attempt is kept beyond its time limit, `silence_s` how long beyond that the event loop `loop` may be silent before
    `exit_hard` is called in the thread. `on_lost` and `on_cancel` are called in the loop, once per attempt; `on_moved`
    with the new versions of jobs whose progress was stored; `on_blocked` with what blocked the loop, and for how long.
    `hold` and `drop` belong to the loop; each is one step in a dict that the thread only ever copies.
    """

    def __init__(  # noqa: PLR0913  durations that tests shorten, and the four callbacks
        self,
        open_store: Callable[[], Awaitable[HeartbeatStore]],
        *,
        lease_s: float,
        beat_s: float,
        grace_s: float,
        loop: asyncio.AbstractEventLoop,
        on_lost: Callable[[Attempt], None],
        on_cancel: Callable[[Attempt], None],
        on_moved: Callable[[dict[str, int]], None] = lambda _: None,
        on_blocked: Callable[[Blocker, float], None] = lambda *_: None,
        exit_hard: Callable[[], None] = end_process,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._open_store = open_store
        self._fence_s = lease_s - lease_s / 5
        self._beat_s = beat_s
        self._grace_s = grace_s
        self._main_loop = loop
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self._on_moved = on_moved
        self._tick_s = min(beat_s / 4, lease_s / 20)
        self._watchdog = LoopWatchdog(
            silence_s, self._tick_s, exit_hard, self._find_blocker, partial(self._call_in_main_loop, on_blocked)
        )  # fmt: skip
        self._main_thread = get_ident()
        self._held: dict[Claim, HeldAttempt] = {}
        self._store: HeartbeatStore | None = None
        self._asked_for = asyncio.Event()
        self._thread = HeartbeatThread(self._keep, exit_hard)

    def __repr__(self) -> str:
        return f"<Leases: {len(self._held)} held>"

    def start(self) -> None:
        """Start the heartbeat."""
        self._thread.start()

    def hold(self, attempt: Attempt) -> None:
        """Keep this claim alive from now on."""
        self._held[attempt.claim] = HeldAttempt(attempt, monotonic())

    def drop(self, attempt: Attempt) -> None:
        """Stop keeping this claim alive: the attempt is settled."""
        self._held.pop(attempt.claim, None)

    def beat_soon(self, job_id: str) -> None:
        """Ask the record at once if this job is in hand: its cancel was requested."""
        if any(claim.id == job_id for claim in self._held):
            self._thread.call_soon(self._asked_for.set)

    async def close(self) -> None:
        """Stop beating. Bounded, even if the record is frozen."""
        await self._thread.close()

    async def _keep(self) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._beat_for_ever(), name="beat")
                both.create_task(self._watch(), name="watch")
        finally:
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
            if self._asked_for.is_set() or any(held.new_progress for held in self._held.copy().values()):
                return

    async def _beat_once(self) -> bool:
        """Send one heartbeat for everything in hand; false if the record did not answer."""
        holds = [held for held in self._held.copy().values() if self._may_renew(held, monotonic())]
        if not holds:
            return True
        progress = [held.new_progress for held in holds]
        sent_at = monotonic()
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
        self._take_answer(holds, beats, sent_at)
        return True

    def _take_answer(self, holds: Sequence[HeldAttempt], beats: Sequence[Beat], sent_at: float) -> None:
        """Count as renewed what came back; the rest belongs to somebody else by now."""
        alive = {Claim(beat.id, beat.fence): beat for beat in beats}
        moved = {beat.id: beat.version for beat in beats if beat.moved}
        if moved:
            self._call_in_main_loop(self._on_moved, moved)
        for held in holds:
            beat = alive.get(held.attempt.claim)
            if beat is None:
                self._report_lost(held)
                continue
            held.renewed = sent_at
            if beat.cancel_requested and not held.cancel_reported:
                held.cancel_reported = True
                self._call_in_main_loop(self._report_if_held, self._on_cancel, held)

    async def _watch(self) -> None:
        """Watch the clock and the event loop, whatever the record does meanwhile."""
        while True:
            now = monotonic()
            holds = list(self._held.copy().values())
            for held in holds:
                if now > held.renewed + self._fence_s:
                    self._report_lost(held)
            self._call_in_main_loop(self._watchdog.hear)
            self._watchdog.tick(now)
            self._watchdog.judge(now, max(map(self._ends_at, self._find_blamed(holds)), default=0.0))
            await asyncio.sleep(self._tick_s)

    def _find_blamed(self, holds: Sequence[HeldAttempt]) -> Sequence[HeldAttempt]:
        """Find the attempts whose time must be over before a silent loop ends the process: the blocker's, or else all."""
        kind = self._watchdog.blocker.kind if self._watchdog.blocker else ""
        return [held for held in holds if held.attempt.handler.kind == kind] or holds

    def _find_blocker(self) -> Blocker:
        handlers = [held.attempt.handler for held in self._held.copy().values()]
        codes = ((getattr(inspect.unwrap(each.function), "__code__", None), each.kind) for each in handlers)
        return find_blocker(self._main_thread, {code: kind for code, kind in codes if code})

    def _may_renew(self, held: HeldAttempt, now: float) -> bool:
        """Renew an attempt until its time is over, or while it waits its turn in a loop that answers."""
        if now > held.renewed + self._fence_s:  # frozen for longer: the record may have given it away
            return False
        if held.attempt.waiting:
            return not self._watchdog.too_long
        return now <= self._ends_at(held)

    def _ends_at(self, held: HeldAttempt) -> float:
        attempt = held.attempt
        return 0.0 if attempt.waiting else attempt.started + attempt.time_limit_s + self._grace_s

    def _report_lost(self, held: HeldAttempt) -> None:
        if not held.lost_reported:
            held.lost_reported = True
            self._call_in_main_loop(self._report_if_held, self._on_lost, held, True)

    def _report_if_held(
        self, report: Callable[[Attempt], None], held: HeldAttempt, and_drop: bool = False
    ) -> None:
        """Tell the flow, unless the attempt was settled meanwhile. Runs in the event loop."""
        if self._held.get(held.attempt.claim) is held:
            if and_drop:
                self.drop(held.attempt)
            report(held.attempt)

    def _call_in_main_loop(self, act: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the event loop is closed: the process is ending
            self._main_loop.call_soon_threadsafe(act, *arguments)

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                async with asyncio.timeout(self._beat_s):
                    await store.close()
