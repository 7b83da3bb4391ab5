"""The newest statistics, for every process to read."""

from __future__ import annotations

from typing import Protocol


class StatisticsBoard(Protocol):
    """Where statistics are posted for every process to read; nothing depends on it."""

    async def post_statistics(self, statistics: bytes, for_s: float) -> None:
        """Post the newest, for so many seconds. Raises ServerAway."""

    async def read_statistics(self) -> bytes | None:
        """Read the newest, if there are any. Raises ServerAway."""
