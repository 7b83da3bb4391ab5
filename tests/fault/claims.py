"""What the record says about claims once everything has come to rest."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.support.stack import Stack


async def check_claims(stack: Stack) -> Counter[str]:
    """Check that each claim (a fence) ended in exactly one way: the last of a success in it, every other in a row of attempts.

    Returns how often the latter ended how.
    """
    fences: defaultdict[str, list[int]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    async with stack.sql() as connection:
        jobs = await connection.fetch("select id::text, fence from jobs where state = 'succeeded'")
        for row in await connection.fetch("select job_id::text, fence, outcome from attempts order by fence"):
            fences[row["job_id"]].append(row["fence"])
            outcomes[row["outcome"]] += 1
    assert jobs
    wrong = [row for row in jobs if fences[row["id"]] != list(range(1, row["fence"]))]
    assert wrong == []
    return outcomes
