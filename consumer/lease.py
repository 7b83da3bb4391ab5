"""Keeps claims alive from a thread of its own, which goes on when a handler blocks the event loop.

It also knows when to stop: a claim whose time is over is let go, a claim that could not be renewed in time is given up
before the record gives it to another consumer, and a process whose event loop stays silent is ended.
"""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread, get_ident
from time import monotonic

from consumer.attempt import Attempt
from consumer.loop_watchdog import Blocker, LoopWatchdog, blocker_in
from sluice.core.job import Claim
from sluice.core.ports import Beat, HeartbeatStore

LOG = logging.getLogger("sluice.lease")
SILENCE_S = 10.0
JOIN_S = 3.0
PROGRESS_S = 0.5
"""How soon the record hears of progress."""


def end_process() -> None:
    """End the process at once, leaving on stderr what every thread was doing."""
    faulthandler.dump_traceback(file=sys.__stderr__ or 2)
    os._exit(70)


class HeldAttempt:
    """What the heartbeat knows about one attempt."""

    __slots__ = ("attempt", "cancel_told", "lost_told", "renewed", "sent")

    def __init__(self, attempt: Attempt, now: float) -> None:
        self.attempt = attempt
        self.renewed = now
        self.sent: bytes | None = None
        self.cancel_told = False
        self.lost_told = False

    @property
    def news(self) -> bytes | None:
        """Progress that the record has not seen yet."""
        progress = self.attempt.progress
        return None if progress is self.sent else progress


class Leases:
    """Renews the leases of all attempts in hand.

    `lease_s` is how long a claim holds in the record, `beat_s` the time between two heartbeats, `grace_s` how long an
    attempt is kept beyond its time limit, `silence_s` how long beyond that the event loop `loop` may be silent before
    `exit_hard` is called in the thread. `on_lost` and `on_cancel` are called in the loop, once per attempt; `on_moved`
    with the new versions of jobs whose progress was stored; `on_blocked` with what blocked the loop, and for how long.
    `hold` and `drop` belong to the loop; they are a step in a dict that the thread only ever copies.
    """

    def __init__(  # noqa: PLR0913  durations that tests shorten, and the three ways to be heard
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
        self._main = loop
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self._on_moved = on_moved
        self._exit_hard = exit_hard
        self._tick_s = min(beat_s / 4, lease_s / 20)
        self._silence = LoopWatchdog(
            silence_s, self._tick_s, exit_hard, self._find_blocker, partial(self._in_main, on_blocked)
        )
        self._loops_thread = get_ident()
        self._held: dict[Claim, HeldAttempt] = {}
        self._store: HeartbeatStore | None = None
        self._own: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._closed = False
        self._thread = Thread(target=self._live, name="leases", daemon=True)

    def __repr__(self) -> str:
        return f"<Leases: {len(self._held)} held>"

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def hold(self, attempt: Attempt) -> None:
        """Keep this claim alive from now on."""
        self._held[attempt.claim] = HeldAttempt(attempt, monotonic())

    def drop(self, attempt: Attempt) -> None:
        """Let it go: the attempt is settled."""
        self._held.pop(attempt.claim, None)

    def beat_soon(self, job_id: str) -> None:
        """Ask the record at once where this job is in hand: its cancel was requested."""
        if self._own is not None and any(claim.id == job_id for claim in self._held):
            with suppress(RuntimeError):  # the thread has ended already
                self._own.call_soon_threadsafe(self._hurry.set)

    async def close(self) -> None:
        """Stop beating. Bounded, even where the record is frozen."""
        self._closed = True
        if self._own is not None and self._work is not None:
            with suppress(RuntimeError):  # the thread has ended already
                self._own.call_soon_threadsafe(self._work.cancel)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, JOIN_S)

    def _live(self) -> None:
        try:
            asyncio.run(self._keep())
        except asyncio.CancelledError:
            return
        except BaseException:
            LOG.critical("claims cannot be kept any more; this process ends itself", exc_info=True)
            self._exit_hard()

    async def _keep(self) -> None:
        self._own = asyncio.get_running_loop()
        self._work = asyncio.current_task()
        if self._closed:
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._beat_for_ever(), name="beat")
                both.create_task(self._watch(), name="watch")
        finally:
            await self._close_store()

    async def _beat_for_ever(self) -> None:
        while True:
            began = monotonic()
            self._hurry.clear()  # before the beat: what is asked for while it is under way may be too late for it
            good = await self._beat_once()
            await self._rest(began + (self._beat_s if good else self._beat_s / 5))

    async def _rest(self, until: float) -> None:
        """Until the next heartbeat, which comes early where a client is to see progress or asked for a stop."""
        while (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, PROGRESS_S)):
                    await self._hurry.wait()
            if self._hurry.is_set() or any(hold.news for hold in self._held.copy().values()):
                return

    async def _beat_once(self) -> bool:
        """One heartbeat for everything in hand; false where the record did not answer."""
        holds = [hold for hold in self._held.copy().values() if self._may_renew(hold, monotonic())]
        if not holds:
            return True
        news = [hold.news for hold in holds]
        sent_at = monotonic()
        try:
            async with asyncio.timeout(self._beat_s):
                if self._store is None:
                    self._store = await self._open_store()
                claims = [(hold.attempt.claim, new) for hold, new in zip(holds, news, strict=True)]
                beats = await self._store.beat(claims)
        except Exception as error:  # noqa: BLE001  whatever it is, the next beat comes soon
            LOG.warning("a heartbeat failed: %s: %s", type(error).__name__, error)
            await self._close_store()
            return False
        for hold, new in zip(holds, news, strict=True):
            hold.sent = new or hold.sent
        self._heed(holds, beats, sent_at)
        return True

    def _heed(self, holds: Sequence[HeldAttempt], beats: Sequence[Beat], sent_at: float) -> None:
        """Renewed is what came back; the rest belongs to somebody else by now."""
        alive = {Claim(beat.id, beat.fence): beat for beat in beats}
        moved = {beat.id: beat.version for beat in beats if beat.moved}
        if moved:
            self._in_main(self._on_moved, moved)
        for hold in holds:
            beat = alive.get(hold.attempt.claim)
            if beat is None:
                self._tell_lost(hold)
                continue
            hold.renewed = sent_at
            if beat.cancel_requested and not hold.cancel_told:
                hold.cancel_told = True
                self._in_main(self._if_held, self._on_cancel, hold)

    async def _watch(self) -> None:
        """Look after the clock and the event loop, whatever the record does meanwhile."""
        while True:
            now = monotonic()
            holds = list(self._held.copy().values())
            for hold in holds:
                if now > hold.renewed + self._fence_s:
                    self._tell_lost(hold)
            self._in_main(self._silence.broken)
            self._silence.listen(now)
            self._silence.judge(now, max(map(self._ends_at, self._blamed(holds)), default=0.0))
            await asyncio.sleep(self._tick_s)

    def _blamed(self, holds: Sequence[HeldAttempt]) -> Sequence[HeldAttempt]:
        """Whose time has to be over before a silent loop ends the process: the blocker's, or else everybody's."""
        kind = self._silence.blocker.kind if self._silence.blocker else ""
        return [hold for hold in holds if hold.attempt.handler.kind == kind] or holds

    def _find_blocker(self) -> Blocker:
        handlers = [hold.attempt.handler for hold in self._held.copy().values()]
        codes = ((getattr(inspect.unwrap(each.function), "__code__", None), each.kind) for each in handlers)
        return blocker_in(self._loops_thread, {code: kind for code, kind in codes if code})

    def _may_renew(self, hold: HeldAttempt, now: float) -> bool:
        """An attempt is renewed until its time is over, or while it waits its turn in a loop that answers."""
        if now > hold.renewed + self._fence_s:  # frozen for longer: the record may have given it away
            return False
        if hold.attempt.waiting:
            return not self._silence.long
        return now <= self._ends_at(hold)

    def _ends_at(self, hold: HeldAttempt) -> float:
        attempt = hold.attempt
        return 0.0 if attempt.waiting else attempt.started + attempt.time_limit_s + self._grace_s

    def _tell_lost(self, hold: HeldAttempt) -> None:
        if not hold.lost_told:
            hold.lost_told = True
            self._in_main(self._if_held, self._on_lost, hold, True)

    def _if_held(self, tell: Callable[[Attempt], None], hold: HeldAttempt, and_drop: bool = False) -> None:
        """Tell the flow, unless the attempt was settled meanwhile. Runs in the event loop."""
        if self._held.get(hold.attempt.claim) is hold:
            if and_drop:
                self.drop(hold.attempt)
            tell(hold.attempt)

    def _in_main(self, act: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the event loop is closed: the process is ending
            self._main.call_soon_threadsafe(act, *arguments)

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                async with asyncio.timeout(self._beat_s):
                    await store.close()
