"""Read long inputs when their jobs start, a few at a time: what is claimed at once must not be in memory at once."""

from __future__ import annotations

import asyncio

from sluice.core.errors import TRANSIENT
from sluice.core.ports import JobStore

AT_ONCE = 2
PAUSE_S = 0.5
"""Seconds until a record that did not answer is asked again."""


class LongInputs:
    """Reads inputs that did not come with their claims."""

    def __init__(self, store: JobStore, pause_s: float = PAUSE_S) -> None:
        self._store, self._pause_s = store, pause_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, job_id: str, room: asyncio.Event) -> bytes:
        """Read an input, however long the record is away, once its host has taken what was sent before: then there is `room`."""
        while True:
            await room.wait()
            async with self._turns:
                try:
                    if room.is_set():
                        return await self._store.read_input(job_id)
                except TRANSIENT:  # reported where it was raised
                    await asyncio.sleep(self._pause_s)
