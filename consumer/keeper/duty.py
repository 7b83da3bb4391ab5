"""A duty of the keeper: one thing that it does when it is its turn."""

from __future__ import annotations

from typing import Protocol


class Duty(Protocol):
    """One thing the keeper does at every tick in which there is something to do. One keeper at a time has the turn."""

    async def once(self) -> int:
        """Do it once; returns how much there was to do."""
