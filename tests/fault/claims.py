"""What the record says of claims once everything has come to rest, and a connection to look at it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.support.stack import Stack


async def every_claim_is_explained(stack: Stack) -> Counter[str]:
    """Each claim (a fence) ended in exactly one way: the last of a success in it, every other in a row of attempts.

    Returns how often the latter ended how.
    """
    fences: defaultdict[str, list[int]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    async with record(stack) as connection:
        jobs = await connection.fetch("select id::text, fence from jobs where state = 'succeeded'")
        for row in await connection.fetch("select job_id::text, fence, outcome from attempts order by fence"):
            fences[row["job_id"]].append(row["fence"])
            outcomes[row["outcome"]] += 1
    assert jobs
    wrong = [row for row in jobs if fences[row["id"]] != list(range(1, row["fence"]))]
    assert wrong == []
    return outcomes


async def count(stack: Stack, query: str) -> int:
    """One number from the record."""
    async with record(stack) as connection:
        found: int = await connection.fetchval(query)
    return found


@asynccontextmanager
async def record(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """A connection of our own to the record."""
    connection = await asyncpg.connect(stack.servers.postgres.url)
    try:
        yield connection
    finally:
        await connection.close()
