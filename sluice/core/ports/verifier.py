"""The record for checks of its invariants."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Finding(NamedTuple):
    """What a check of an invariant found: how many offend against it, and a few of them."""

    check: str
    offenders: int
    samples: tuple[str, ...] = ()


class Verifier(Protocol):
    """The record, as whoever verifies it uses it. Nothing is written."""

    async def verify(self, newest: int) -> list[Finding] | None:
        """What every check finds, of finished jobs among the newest; None while another process looks."""
