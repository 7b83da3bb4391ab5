"""What every store does: send named statements, each with a longest wait, and turn their rows into the values of flows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import asyncpg

from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.core.errors import Overloaded
from sluice.core.job import Job, Message

COPIED_AT_ONCE = 8 * 1024 * 1024
"""Bytes of inputs that one statement copies, and whatever one more job has."""

AT_ONCE = 3
"""Statements of many rows that run at once, so that look-ups and submits always find a connection."""
TURN_S = 0.5
"""Seconds that such a statement waits for its turn."""


class Turns:
    """Lets few enter at once. Raises Overloaded for one whose turn does not come in time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(TURN_S):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded from None

    async def __aexit__(self, *_: object) -> None:
        self._free.release()


class Store:
    """Statements over a pool. `budget_s` is the longest wait for one that names no other."""

    def __init__(self, database: Database, budget_s: float = WRITE_S) -> None:
        self._database, self._budget_s = database, budget_s

    async def ask(self, query: str, *args: Any, budget_s: float | None = None) -> list[asyncpg.Record]:
        """Fetch the rows of a named statement. Raises ServerAway, TryAgain, BadRow, Overloaded."""
        return await self._database.fetch(query, *args, budget_s=budget_s or self._budget_s)

    async def ask_jobs(self, query: str, *args: Any, budget_s: float | None = None) -> list[Job]:
        """Make a job from each row, which has the columns of the fragment `job`, input, result and error."""
        return [Job(*row) for row in await self.ask(query, *args, budget_s=budget_s)]

    async def clock(self) -> datetime:
        """Return the time by which PostgreSQL decides. Raises ServerAway."""
        now: datetime = (await self.ask("clock"))[0][0]
        return now


def messages_of(rows: Iterable[asyncpg.Record]) -> tuple[Message, ...]:
    """Make a message from each row of the outbox; rows without an id are no messages."""
    return tuple(
        Message(row["outbox_id"], row["lane"], row["priority"], tuple(row["ids"]))
        for row in rows
        if row["outbox_id"] is not None
    )
