"""Delete what is old in bounded statements, one after the other, as often as one turn may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

PRUNED = 1_000
PRUNED_AGAIN = 8
"""How often at one turn: more can be deleted than are accepted, or the record would grow for ever."""


async def prune_again(
    prune: Callable[[int], Awaitable[int]], most: int = PRUNED, times: int = PRUNED_AGAIN
) -> int:
    """Prune until fewer than so many are found at once, or so often."""
    total = 0
    for _ in range(times):
        total += (gone := await prune(most))
        if gone < most:
            break
    return total
