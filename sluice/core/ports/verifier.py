"""The record for checks of its invariants."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Finding(NamedTuple):
    """What a check of an invariant found: how many rows violate it, and a few of them."""

    check: str
    offenders: int
    samples: tuple[str, ...] = ()


class Verifier(Protocol):
    """The record, as its checks read it. Nothing is written."""

    async def verify(self, newest: int) -> list[Finding]:
        """Run every check, on finished jobs only among the newest."""
