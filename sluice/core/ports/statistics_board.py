"""The newest statistics, for every process to read."""

from __future__ import annotations

from typing import Protocol


class StatisticsBoard(Protocol):
    """Where statistics are put up for everybody to read; nobody depends on it."""

    async def post_statistics(self, statistics: bytes) -> None:
        """Put up the newest, for some seconds. Raises ServerAway."""

    async def read_statistics(self) -> bytes | None:
        """The newest, if there are any. Raises ServerAway."""
