"""Submit hostile jobs one after another, and innocent ones beside them until the last hostile one has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import httpx2

from tests.fault.hostile.case import Case
from tests.support.stack import Stack

MIX = {
    "innocent.loop": 62,
    "innocent.program": 3,
    "innocent.hasty": 15,
    "innocent.thread": 15,
    "innocent.process": 5,
}
CLIENTS = 4
PAUSE_S = 0.15
"""Between two jobs of one client, while hostile ones go on."""

UNFINISHED = "select count(*) from jobs where finished_at is null and kind like 'hostile.%'"


class Innocent(NamedTuple):
    """An innocent job."""

    kind: str
    number: int


class Traffic:
    """What was submitted: `hostile` and `innocent` by id."""

    def __init__(self, stack: Stack, cases: Sequence[Case], innocents: int, rng: Random) -> None:
        self.hostile: dict[str, Case] = {}
        self.innocent: dict[str, Innocent] = {}
        self._stack, self._rng, self._least = stack, rng, innocents
        self._cases = [case for case in cases for _ in range(case.copies)]
        self._over = False
        rng.shuffle(self._cases)

    async def run(self, pace_s: float, within_s: float) -> None:
        """Submit all there is, so many seconds apart; give up waiting for the hostile after so many."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._submit_innocents())
            try:
                async with asyncio.timeout(within_s):
                    await self._submit_hostile(pace_s)
            except TimeoutError:
                pass  # what is unfinished is told by the verdict
            finally:
                self._over = True

    async def submit(self, client: httpx2.AsyncClient, kind: str, **given: Any) -> str:
        """Submit a job; return its id."""
        answer = await client.post("/v1/jobs", json={"kind": kind, "input": given})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def submit_innocent(self, client: httpx2.AsyncClient, kind: str) -> None:
        """Submit one innocent job."""
        innocent = Innocent(kind, len(self.innocent))
        seconds = self._rng.uniform(0, 0.2)
        self.innocent[await self.submit(client, kind, number=innocent.number, seconds=seconds)] = innocent

    async def _submit_hostile(self, pace_s: float) -> None:
        async with self._stack.client() as client:
            for case in self._cases:
                self.hostile[await self.submit(client, case.kind.kind)] = case
                await asyncio.sleep(pace_s)
        while await self._stack.count(UNFINISHED):  # noqa: ASYNC110  no event tells of it
            await asyncio.sleep(0.2)

    async def _submit_innocents(self) -> None:
        async with self._stack.client() as client:
            while not self._over or len(self.innocent) < self._least:
                (kind,) = self._rng.choices(list(MIX), list(MIX.values()))
                await self.submit_innocent(client, kind)
                await asyncio.sleep(0 if self._over else PAUSE_S)
