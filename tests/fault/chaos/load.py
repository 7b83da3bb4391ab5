"""Clients: they come at a steady rate whatever happens, and write down everything they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from time import monotonic
from typing import Any

import orjson

from tests.fault.chaos.book import Book, Wish
from tests.fault.chaos.follow import Follower
from tests.fault.chaos.wire import PATIENCE_S, Answer, Doors, Hung, NoAnswer, NotSent

TICK_S = 0.05
MOST_VISITORS = 600
"""Clients that may be there at a time; what would come on top stays away and is counted."""
TRIES, PAUSE_S = 30, 0.3
"""How often and how quickly who has a key asks again."""
PURE_INPUTS = 200
JOBS = "/v1/jobs"
NOTHING_ACCEPTED = ("record-away", "overloaded")

Visit = Callable[[], Awaitable[None]]


class Load:
    """`rate` clients a second, of all kinds; `run` returns once the last of them has left."""

    def __init__(self, doors: Doors, book: Book, rng: Random, rate: float) -> None:
        self._doors, self._book, self._rng, self._rate = doors, book, rng, rate
        self._follower = Follower(doors, book)
        self._next = 0
        self._there: set[asyncio.Task[None]] = set()
        self._visits: Mapping[Visit, int] = {
            self._plain: 52, self._keyed: 14, self._twins: 3, self._pure: 8, self._slow: 4, self._delayed: 5,
            self._shaky: 2, self._threaded: 2, self._heavy: 1, self._followed: 6, self._waiting: 1, self._cancelled: 2,
        }  # fmt: skip
        self.stayed_away = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Let clients come until told to stop."""
        visits, weights = list(self._visits), list(self._visits.values())
        due, last = 0.0, monotonic()
        while not stop.is_set():
            await asyncio.sleep(TICK_S)
            now = monotonic()
            due, last = min(due + (now - last) * self._rate, self._rate), now
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
        task.add_done_callback(self._there.discard)

    async def _visit(self, visit: Visit) -> None:
        try:
            await visit()
        except NotSent:
            self._book.not_sent += 1

    async def _plain(self) -> None:
        await self._submit(self._wish("chaos.sum"))

    async def _threaded(self) -> None:
        await self._submit(self._wish("chaos.thread"))

    async def _heavy(self) -> None:
        await self._submit(self._wish("chaos.process"))

    async def _shaky(self) -> None:
        await self._submit(self._wish("chaos.shaky"))

    async def _slow(self) -> None:
        await self._submit(self._wish("chaos.sum"), nap_s=self._rng.uniform(0.5, 4))

    async def _delayed(self) -> None:
        await self._submit(self._wish("chaos.sum"), options={"delay_s": self._rng.uniform(0.2, 6)})

    async def _followed(self) -> None:
        """Watches the job until it has finished."""
        wish = self._wish("chaos.sum")
        answer = await self._submit(wish, nap_s=self._rng.choice((0.0, 0.0, 0.5)))
        if answer is not None:
            await self._follower.follow(answer.json, wish.number)

    async def _waiting(self) -> None:
        """Stays on the line until the job has finished, or five seconds."""
        await self._submit(self._wish("chaos.sum"), nap_s=0.5, headers={"prefer": "wait=5"})

    async def _cancelled(self) -> None:
        """Thinks better of it."""
        wish = self._wish("chaos.sum")
        answer = await self._submit(wish, nap_s=3.0)
        if answer is not None:
            await asyncio.sleep(self._rng.uniform(0, 1))
            await self._follower.cancel(answer.json["id"], wish)

    async def _pure(self) -> None:
        """Asks for what others ask for as well."""
        number = -self._rng.randint(1, PURE_INPUTS)
        answer = await self._ask("pure", {"kind": "chaos.pure", "input": {"number": number}}, {})
        if answer is not None and answer.status in (200, 202):
            self._book.acknowledged += 1
            self._book.pure[number].add(answer.json["id"])

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
                if await self._submit(wish, nap_s=0.0, headers={"idempotency-key": wish.key or ""}):
                    return
            except NotSent:
                self._book.not_sent += 1
            await asyncio.sleep(PAUSE_S)

    def _wish(self, kind: str) -> Wish:
        self._next += 1
        return self._book.wish(self._next, kind)

    def _keyed_wish(self) -> Wish:
        self._next += 1
        return self._book.wish(self._next, "chaos.sum", key=f"wish-{self._next}")

    async def _submit(
        self,
        wish: Wish,
        nap_s: float = 0.0,
        options: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """Its acknowledgement, if there was one. Raises NotSent."""
        body: dict[str, Any] = {"kind": wish.kind, "input": {"number": wish.number, "nap_s": nap_s}}
        answer = await self._ask("submit", body | ({"options": options} if options else {}), headers or {})
        if answer is None:
            wish.unknown = True
        elif answer.status in (200, 202):
            self._book.acknowledged += 1
            wish.ids.add(answer.json["id"])
            return answer
        elif answer.status == 503 and answer.json["type"] in NOTHING_ACCEPTED:
            wish.refused = True
        else:
            wish.unknown = True
        return None

    async def _ask(self, route: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer | None:
        """None where the outcome is unknown. Raises NotSent."""
        self._book.attempted += 1
        waits = "prefer" in headers
        try:
            answer = await self._doors.ask("POST", JOBS, orjson.dumps(body), headers, PATIENCE_S)
        except Hung:
            self._book.hung += 1
            self._book.wrongs.add("hung", f"{route}: {body}")
            return None
        except NoAnswer:
            self._book.answers[route, 0] += 1
            return None
        self._follower.heard("wait" if waits else route, answer)
        return answer
