"""The record for heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sluice.core.job import Claim


class Beat(NamedTuple):
    """The record's answer to a heartbeat for one claim that still holds; `moved` says that progress made a new version."""

    id: str
    fence: int
    cancel_requested: bool
    version: int = 0
    moved: bool = False


class HeartbeatStore(Protocol):
    """The record, as the heartbeat thread uses it over a connection of its own."""

    async def beat(self, held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        """Extend the lease of every claim that still holds, storing progress (JSON bytes) where there is any."""

    async def close(self) -> None:
        """Close the connection."""
