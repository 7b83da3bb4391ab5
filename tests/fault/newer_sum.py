"""The next version of `demo.sum`, of which equal input gives another output."""

from __future__ import annotations

from sluice import handler
from sluice.kinds.demo_sum import Numbers, Total

NEWER_BY = 1_000


@handler("demo.sum", version=2, cache_s=60)
async def add_up(numbers: Numbers) -> Total:
    """Add up whole numbers, and then some."""
    return Total(total=sum(numbers.values) + NEWER_BY)
