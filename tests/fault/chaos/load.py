"""Clients: they come at a steady rate whatever happens, and write down everything they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from time import monotonic
from typing import Any

from tests.fault.chaos.client_log import ClientLog, Wish
from tests.fault.chaos.client_requests import Asking
from tests.fault.chaos.followers import Follower
from tests.fault.chaos.http_client import NotSent

TICK_S = 0.05
MOST_VISITORS = 600
"""Clients that may be there at a time; what would come on top stays away and is counted."""
TRIES, PAUSE_S = 30, 0.3
"""How often and how quickly who has a key asks again."""
PURE_INPUTS = 200

VISITS: Mapping[str, int] = {
    "plain": 50, "keyed": 14, "twins": 3, "pure": 8, "slow": 4, "delayed": 5, "shaky": 2, "threaded": 2, "heavy": 1,
    "followed": 6, "waiting": 1, "cancelled": 2, "foreign": 2,
}  # fmt: skip
"""How clients behave, and how many of a hundred behave so."""

Visit = Callable[[], Coroutine[None, None, None]]


class Load:
    """`rate` clients a second, of all kinds and tenants; `run` returns once the last of them has left."""

    def __init__(
        self, asking: Asking, book: ClientLog, rng: Random, rate: float, visits: Mapping[str, int] = VISITS
    ) -> None:
        self._asking, self._book, self._rng, self._rate = asking, book, rng, rate
        self._follower = Follower(asking, book)
        self._next = 0
        self._there: set[asyncio.Task[None]] = set()
        self._visits: Mapping[Visit, int] = {
            getattr(self, f"_{name}"): share for name, share in visits.items()
        }
        self.stayed_away = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Let clients come until told to stop."""
        visits, weights = list(self._visits), list(self._visits.values())
        due, last = 0.0, monotonic()
        while not stop.is_set():
            await asyncio.sleep(TICK_S)
            now = monotonic()
            due, last = min(due + (now - last) * self._rate, max(1.0, self._rate)), now
            for visit in self._rng.choices(visits, weights, k=int(due)):
                self._enter(visit)
            due -= int(due)
        while self._there:
            await asyncio.wait(self._there)

    def _enter(self, visit: Visit) -> None:
        if len(self._there) >= MOST_VISITORS:
            self.stayed_away += 1
            return
        task = asyncio.get_running_loop().create_task(self._visit(visit), name=visit.__name__)
        self._there.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._there.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _visit(self, visit: Visit) -> None:
        try:
            await visit()
        except NotSent:
            self._book.not_sent += 1

    async def _plain(self) -> None:
        await self._asking.submit(self._wish())

    async def _threaded(self) -> None:
        await self._asking.submit(self._wish("chaos.thread"))

    async def _heavy(self) -> None:
        await self._asking.submit(self._wish("chaos.process"))

    async def _blocking(self) -> None:
        await self._asking.submit(self._wish("chaos.blocking"), nap_s=6.0)

    async def _shaky(self) -> None:
        await self._asking.submit(self._wish("chaos.shaky"))

    async def _slow(self) -> None:
        await self._asking.submit(self._wish(), nap_s=self._rng.uniform(0.5, 4))

    async def _delayed(self) -> None:
        await self._asking.submit(self._wish(), options={"delay_s": self._rng.uniform(0.2, 6)})

    async def _followed(self) -> None:
        """Watches the job until it has finished; some have much to show."""
        wish = self._wish(self._rng.choice(("chaos.sum", "chaos.sum", "chaos.shaky")))
        answer = await self._asking.submit(wish, nap_s=self._rng.choice((0.0, 0.0, 0.5)))
        if answer is not None:
            await self._follower.follow(answer.json, wish)

    async def _waiting(self) -> None:
        """Stays on the line until the job has finished, or five seconds."""
        await self._asking.submit(self._wish(), nap_s=0.5, headers={"prefer": "wait=5"})

    async def _cancelled(self) -> None:
        """Thinks better of it."""
        wish = self._wish()
        answer = await self._asking.submit(wish, nap_s=3.0)
        if answer is not None:
            await asyncio.sleep(self._rng.uniform(0, 1))
            await self._follower.cancel(answer.json["id"], wish)

    async def _foreign(self) -> None:
        """Its job is looked for by somebody else, who must not find it."""
        wish = self._wish()
        answer = await self._asking.submit(wish)
        if answer is not None:
            await asyncio.sleep(self._rng.uniform(0, 2))
            await self._follower.follow_as_stranger(answer.json, wish)

    async def _pure(self) -> None:
        """Asks for what others ask for as well."""
        await self._asking.submit_pure(self._tenant(), -self._rng.randint(1, PURE_INPUTS))

    async def _keyed(self) -> None:
        """Asks until it is told, and perhaps once more later."""
        wish = self._keyed_wish()
        await self._insist(wish)
        if self._rng.random() < 0.25:
            await asyncio.sleep(self._rng.uniform(0.5, 15))
            self._book.replayed += 1
            await self._insist(wish)

    async def _twins(self) -> None:
        """The same request twice at the same time."""
        wish = self._keyed_wish()
        await asyncio.gather(self._insist(wish), self._insist(wish))

    async def _insist(self, wish: Wish) -> None:
        for _ in range(TRIES):
            try:
                if await self._asking.submit(wish, headers={"idempotency-key": wish.key or ""}):
                    return
            except NotSent:
                self._book.not_sent += 1
            await asyncio.sleep(PAUSE_S)

    def _wish(self, kind: str = "chaos.sum", **more: Any) -> Wish:
        self._next += 1
        return self._book.wish(self._next, kind, self._tenant(), **more)

    def _keyed_wish(self) -> Wish:
        return self._wish(key=f"wish-{self._next}")

    def _tenant(self) -> str:
        return self._rng.choice(self._asking.tenants)
