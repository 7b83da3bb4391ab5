"""Clients that arrive at a steady rate whatever happens, and note everything they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from time import monotonic
from typing import Any

from tests.fault.chaos import hostile_kinds
from tests.fault.chaos.client_log import ClientLog, RequestedJob
from tests.fault.chaos.client_requests import ClientRequests
from tests.fault.chaos.followers import Follower
from tests.fault.chaos.http_client import NotSent

TICK_S = 0.05
MOST_CLIENTS = 600
"""Clients at a time; those beyond are not started, and counted."""
TRIES, PAUSE_S = 30, 0.3
"""How often and how quickly a client with an idempotency key asks again."""
PURE_INPUTS = 200

CLIENT_MIX: Mapping[str, float] = {
    "plain": 50, "keyed": 14, "twins": 3, "pure": 8, "slow": 4, "delayed": 5, "shaky": 2, "threaded": 2, "heavy": 1,
    "followed": 6, "waiting": 1, "cancelled": 2, "foreign": 2, "hostile": 0.1,
}  # fmt: skip
"""How clients behave, and how many of a hundred behave like that."""

ClientBehaviour = Callable[[], Coroutine[None, None, None]]


class Load:
    """`rate` clients a second, of all behaviours and tenants."""

    def __init__(
        self,
        requests: ClientRequests,
        log: ClientLog,
        rng: Random,
        rate: float,
        client_mix: Mapping[str, float] = CLIENT_MIX,
    ) -> None:
        self._requests, self._log, self._rng, self._rate = requests, log, rng, rate
        self._follower = Follower(requests, log)
        self._next = 0
        self._active: set[asyncio.Task[None]] = set()
        self._behaviours: Mapping[ClientBehaviour, float] = {
            getattr(self, f"_{name}"): share for name, share in client_mix.items()
        }
        self.not_started = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Start clients until told to stop; return once the last has ended."""
        behaviours, weights = list(self._behaviours), list(self._behaviours.values())
        due, last = 0.0, monotonic()
        while not stop.is_set():
            await asyncio.sleep(TICK_S)
            now = monotonic()
            due, last = min(due + (now - last) * self._rate, max(1.0, self._rate)), now
            for behave in self._rng.choices(behaviours, weights, k=int(due)):
                self._start_client(behave)
            due -= int(due)
        while self._active:
            await asyncio.wait(self._active)

    def _start_client(self, behave: ClientBehaviour) -> None:
        if len(self._active) >= MOST_CLIENTS:
            self.not_started += 1
            return
        task = asyncio.get_running_loop().create_task(self._run_client(behave), name=behave.__name__)
        self._active.add(task)
        task.add_done_callback(self._client_ended)

    def _client_ended(self, task: asyncio.Task[None]) -> None:
        self._active.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _run_client(self, behave: ClientBehaviour) -> None:
        try:
            await behave()
        except NotSent:
            self._log.not_sent += 1

    async def _plain(self) -> None:
        await self._requests.submit(self._new_job())

    async def _threaded(self) -> None:
        await self._requests.submit(self._new_job("chaos.thread"))

    async def _heavy(self) -> None:
        await self._requests.submit(self._new_job("chaos.process"))

    async def _busy(self) -> None:
        """Keep a process busy for a while."""
        await self._requests.submit(self._new_job("chaos.process"), nap_s=self._rng.uniform(0.3, 1))

    async def _blocking(self) -> None:
        await self._requests.submit(self._new_job("hostile.block"))

    async def _exiting(self) -> None:
        await self._requests.submit(self._new_job("hostile.exit"))

    async def _hostile(self) -> None:
        """Harm the process in which the handler runs."""
        await self._requests.submit(self._new_job(f"hostile.{self._rng.choice(hostile_kinds.NAMES)}"))

    async def _shaky(self) -> None:
        await self._requests.submit(self._new_job("chaos.shaky"))

    async def _slow(self) -> None:
        await self._requests.submit(self._new_job(), nap_s=self._rng.uniform(0.5, 4))

    async def _delayed(self) -> None:
        await self._requests.submit(self._new_job(), options={"delay_s": self._rng.uniform(0.2, 6)})

    async def _followed(self) -> None:
        """Watch the job until it has finished; some take a while."""
        job = self._new_job(self._rng.choice(("chaos.sum", "chaos.sum", "chaos.shaky")))
        answer = await self._requests.submit(job, nap_s=self._rng.choice((0.0, 0.0, 0.5)))
        if answer is not None:
            await self._follower.follow(answer.json, job)

    async def _waiting(self) -> None:
        """Wait in the request until the job has finished, for five seconds at most."""
        await self._requests.submit(self._new_job(), nap_s=0.5, headers={"prefer": "wait=5"})

    async def _cancelled(self) -> None:
        """Submit, then cancel."""
        job = self._new_job()
        answer = await self._requests.submit(job, nap_s=3.0)
        if answer is not None:
            await asyncio.sleep(self._rng.uniform(0, 1))
            await self._follower.cancel(answer.json["id"], job)

    async def _foreign(self) -> None:
        """Submit, then look for the job as other tenants, who must not find it."""
        job = self._new_job()
        answer = await self._requests.submit(job)
        if answer is not None:
            await asyncio.sleep(self._rng.uniform(0, 2))
            await self._follower.follow_as_stranger(answer.json, job)

    async def _pure(self) -> None:
        """Ask for what others ask for as well."""
        await self._requests.submit_pure(self._tenant(), -self._rng.randint(1, PURE_INPUTS))

    async def _keyed(self) -> None:
        """Ask until there is an answer, and perhaps once more later."""
        job = self._new_keyed_job()
        await self._submit_until_answered(job)
        if self._rng.random() < 0.25:
            await asyncio.sleep(self._rng.uniform(0.5, 15))
            self._log.replayed += 1
            await self._submit_until_answered(job)

    async def _twins(self) -> None:
        """Send the same request twice at the same time."""
        job = self._new_keyed_job()
        await asyncio.gather(self._submit_until_answered(job), self._submit_until_answered(job))

    async def _submit_until_answered(self, job: RequestedJob) -> None:
        for _ in range(TRIES):
            try:
                if await self._requests.submit(job, headers={"idempotency-key": job.key or ""}):
                    return
            except NotSent:
                self._log.not_sent += 1
            await asyncio.sleep(PAUSE_S)

    def _new_job(self, kind: str = "chaos.sum", **more: Any) -> RequestedJob:
        self._next += 1
        return self._log.add_job(self._next, kind, self._tenant(), **more)

    def _new_keyed_job(self) -> RequestedJob:
        return self._new_job(key=f"job-{self._next}")

    def _tenant(self) -> str:
        return self._rng.choice(self._requests.tenants)
