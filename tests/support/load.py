"""A bounded load for tests: submits jobs until it is stopped, and remembers what was promised for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import orjson

from tests.support.stack import Stack
from tests.support.waiting import until


class Load:
    """Clients that submit `demo.sum` jobs. `accepted` maps each acknowledged id to the result it must have."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.accepted: dict[str, int] = {}
        self.refused: list[int] = []
        self.unknown = 0
        self._next = 0
        self._on = True

    @asynccontextmanager
    async def running(self, clients: int = 8) -> AsyncIterator[Load]:
        """Submit with so many clients while the block runs."""
        tasks = [asyncio.create_task(self._submit_for_ever()) for _ in range(clients)]
        try:
            yield self
        finally:
            self._on = False
            await asyncio.gather(*tasks)

    async def more(self, count: int) -> None:
        """Wait until so many more jobs were accepted."""
        wanted = len(self.accepted) + count
        async with asyncio.timeout(60):
            await until(lambda: len(self.accepted) >= wanted)

    async def check(self, within_s: float = 60) -> None:
        """Check that every accepted job has finished, once, with the right result."""
        rows = await self._stack.finished(self.accepted, within_s)
        wrong = {
            job_id: (row["state"], row["result"])
            for job_id, row in rows.items()
            if row["state"] != "succeeded" or orjson.loads(row["result"]) != {"total": self.accepted[job_id]}
        }
        assert not wrong

    async def _submit_for_ever(self) -> None:
        async with self._stack.client() as client:
            while self._on:
                self._next += 1
                values = [self._next, 1, 2]
                try:
                    answer = await client.post(
                        "/v1/jobs", json={"kind": "demo.sum", "input": {"values": values}}
                    )
                except httpx2.TransportError:
                    self.unknown += 1
                    await asyncio.sleep(0.05)
                    continue
                if answer.status_code == 202:
                    self.accepted[answer.json()["id"]] = sum(values)
                else:
                    self.refused.append(answer.status_code)
                    await asyncio.sleep(0.05)
