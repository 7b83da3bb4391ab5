"""Announcements that a process receives about jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol


class Wake(NamedTuple):
    """What a wake-up says about a job: its new version, and whether that is its last."""

    version: int
    finished: bool


class Subscriptions(Protocol):
    """What other processes announce about jobs. Each call runs until it is cancelled, through every reconnection."""

    @property
    def listening(self) -> bool:
        """Whether wake-ups arrive."""

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Call `on_wake` with wake-ups by id. An empty mapping says that some may have been missed."""

    async def listen_stops(self, on_stop: Callable[[str], None]) -> None:
        """Call `on_stop` with the ids of jobs that are to stop."""

    async def listen_gone(self, on_gone: Callable[[str], None]) -> None:
        """Call `on_gone` with the ids of deleted jobs."""

    @property
    def hears_pauses(self) -> bool:
        """Whether `listen_pauses` hears of all that is announced from now on."""

    async def listen_pauses(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` when a lane was paused or resumed, and when that may have been missed."""
