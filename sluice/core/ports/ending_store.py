"""Endings of jobs in the record, for each listener until it has been told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sluice.core.ending import Ending


class EndingStore(Protocol):
    """What jobs came to. The statement that ends a job keeps its ending once for each listener; it is told at least once."""

    async def listen(self, listener: str) -> None:
        """Keep every ending from now on for this listener, also what other processes write. Again changes nothing."""

    async def stop_listening(self, listener: str) -> None:
        """Keep no more for this listener, and forget what it was not told yet."""

    async def next_endings(self, listener: str, limit: int) -> list[Ending]:
        """Find the oldest that this listener was not told yet. They stay until they are dropped."""

    async def drop_endings(self, listener: str, numbers: Sequence[int]) -> None:
        """Forget these, as the listener has been told."""

    async def tell_webhooks(self, bodies: Mapping[int, bytes]) -> int:
        """Make a delivery of each of these endings for each webhook that asks for it, and forget them; returns how many.

        `bodies` has, by number, what is sent. Of those that somebody else has told none are made.
        """
