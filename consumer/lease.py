"""Keep the lease under which this consumer claims jobs, and the jobs in hand in touch with the record.

There is one lease for all of them: a row of the record that is renewed every few seconds. It also knows when to stop: a lease
that could not be renewed in time is given up before a keeper gives its jobs to others, and so is an attempt that outlives all its
limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from consumer.attempt import Attempt
from sluice.core.owner import Owner
from sluice.core.ports import LeaseStore
from sluice.core.runtime.tasks import TaskSet

LOG = logging.getLogger("sluice.lease")
PROGRESS_S = 0.5
"""How soon the record hears of progress."""
AGAIN = 5
"""How many times sooner than usual the record is asked again when it did not answer."""


class Lease:
    """Renews the lease of this consumer.

    `lease_s` is how long it holds in the record, `beat_s` the time between two renewals, `spare_s` how long beyond its time
    limit an attempt may be in hand, `report` what is stored with each renewal. `on_lost` is called once for
    a lost lease with all attempts under it, `on_overdue` and `on_cancel` once per attempt, `on_moved` with the new versions of jobs
    whose progress was stored.
    """

    def __init__(  # noqa: PLR0913  durations that tests shorten, and the callbacks
        self,
        open_store: Callable[[], Awaitable[LeaseStore]],
        owner: Owner,
        *,
        report: Callable[[], bytes],
        lease_s: float,
        beat_s: float,
        spare_s: float,
        on_lost: Callable[[list[Attempt]], None],
        on_overdue: Callable[[Attempt], None],
        on_cancel: Callable[[Attempt], None],
        on_moved: Callable[[dict[str, int]], None] = lambda _: None,
    ) -> None:
        self._open_store, self._owner, self._report = open_store, owner, report
        self._fence_s = lease_s - lease_s / 5
        self._beat_s, self._spare_s = beat_s, spare_s
        self._tick_s = min(beat_s / 4, lease_s / 20)
        self._on_lost, self._on_overdue = on_lost, on_overdue
        self._on_cancel, self._on_moved = on_cancel, on_moved
        self._held: set[Attempt] = set()
        self._store: LeaseStore | None = None
        self._taken = self._moved = False
        self._renewed = 0.0
        self._in_contact_since: float | None = None
        self._asked_for = asyncio.Event()
        self._tasks: TaskSet[None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Lease {self._owner.id}: {len(self._held)} attempts in hand>"

    @property
    def is_steady(self) -> bool:
        """Whether the record has answered for so long that every living consumer has renewed its lease meanwhile."""
        since, now = self._in_contact_since, monotonic()
        return since is not None and since <= now - 2 * self._beat_s and now <= self._renewed + self._fence_s

    def start(self) -> None:
        """Take the lease and renew it from now on."""
        self._tasks.keep(self._keep, "lease")
        self._tasks.keep(self._watch, "watch-lease")

    def hold(self, attempt: Attempt) -> None:
        """Look after this attempt from now on."""
        self._held.add(attempt)

    def drop(self, attempt: Attempt) -> None:
        """Stop looking after this attempt: it is settled."""
        self._held.discard(attempt)

    def ask_soon(self, job_id: str) -> None:
        """Ask the record at once if this job is in hand: its cancel was requested."""
        if any(attempt.claim.id == job_id for attempt in self._held):
            self._asked_for.set()

    def reconnect(self) -> None:
        """Go on over a new connection: the record has moved to another server, on which others have yet to be heard of."""
        self._moved = True
        self._in_contact_since = None
        self._asked_for.set()

    async def close(self) -> None:
        """End the lease, so that others need not wait for its end. Bounded, even if the record is frozen."""
        await self._tasks.cancel()
        if self._store is not None and self._taken:
            await self._try(self._store.end)
        await self._close_store()

    async def _keep(self) -> None:
        while True:
            began = monotonic()
            good = await self._try(self._renew)
            self._in_contact_since = (self._in_contact_since or monotonic()) if good else None
            until = began + (self._beat_s if good else self._beat_s / AGAIN)
            while await self._wait_for_news(until) and await self._try(self._exchange_news):
                pass

    async def _wait_for_news(self, until: float) -> bool:
        """Wait for the next renewal; returns early, and true, if there is progress to store or a client asked for a stop."""
        while (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, PROGRESS_S)):
                    await self._asked_for.wait()
            if self._asked_for.is_set() or any(attempt.new_progress for attempt in self._held):
                return True
        return False

    async def _try(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Take a step, if the record answers in time."""
        try:
            async with asyncio.timeout(self._beat_s):
                await step()
        except Exception as error:  # noqa: BLE001  whatever it is, the next try comes soon
            LOG.warning("the record did not answer for the lease: %s: %s", type(error).__name__, error)
            await self._close_store()
            return False
        return True

    async def _renew(self) -> None:
        """Renew the lease; take another if it is over. Then ask what clients want to be cancelled."""
        self._asked_for.clear()  # first: it must not bring the next try at once if this one fails
        store, now = await self._opened(), monotonic()
        if self._taken and await store.renew(self._report()):
            self._renewed = now
        else:
            self._lose_everything()
            self._renewed, self._taken = now, True  # first: it may be taken even if no answer comes
            await store.take()
        await self._ask_for_cancels(store)

    async def _exchange_news(self) -> None:
        """Store what progress there is, and ask for cancels if a client was heard of."""
        store = await self._opened()
        if self._asked_for.is_set():
            await self._ask_for_cancels(store)
        news = {attempt: new for attempt in self._held if (new := attempt.new_progress)}
        if news:
            moved = await store.store_progress({attempt.claim: new for attempt, new in news.items()})
            for attempt, new in news.items():
                if attempt.claim.id in moved:
                    attempt.stored = new
            self._on_moved(moved)

    async def _ask_for_cancels(self, store: LeaseStore) -> None:
        self._asked_for.clear()  # before the look: what is asked for while it is under way may be too late for it
        asked = {attempt.claim: attempt for attempt in self._held if not attempt.cancel_reported}
        for claim in await store.find_cancels(list(asked)):
            attempt = asked.get(claim)
            if attempt is not None and attempt in self._held:
                attempt.cancel_reported = True
                self._on_cancel(attempt)

    async def _watch(self) -> None:
        """Watch the clock, whatever the record does meanwhile."""
        while True:
            now = monotonic()
            if now > self._renewed + self._fence_s:
                self._lose_everything()
            self._stop_overdue(now)
            await asyncio.sleep(self._tick_s)

    def _stop_overdue(self, now: float) -> None:
        """Stop attempts that have outlived all their limits. If that does not help, no job can be kept in hand any more."""
        for attempt in list(self._held):
            late_s = attempt.late_s(now)
            if late_s > 2 * self._spare_s:
                self._lose_everything()
            elif late_s > self._spare_s and not attempt.overdue_reported:
                attempt.overdue_reported = True
                self._on_overdue(attempt)

    def _lose_everything(self) -> None:
        """Give up the lease and all that was claimed under it: the record may have given it away."""
        if self._taken:
            self._taken = False
            self._in_contact_since = None  # the leases of others may be over for the same reason
            self._owner.replace()
            attempts, self._held = list(self._held), set()
            self._on_lost(attempts)

    async def _opened(self) -> LeaseStore:
        if self._moved:
            self._moved = False
            await self._close_store()
        if self._store is None:
            self._store = await self._open_store()
        return self._store

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                async with asyncio.timeout(self._beat_s):
                    await store.close()
