"""Know which lanes operators have paused: a lane is halted until that is known, and whenever it is so.

A pause is announced over Redis. The record is looked at as well, now and then, and all the time while nothing can be heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from consumer.failure_report import report_unforeseen
from sluice.core.ports import LaneStore
from sluice.core.queue_stats import LanePause
from sluice.core.runtime.telemetry import Telemetry

REST_S = 5.0
"""Seconds between two looks while announcements are heard: the api that made one may have been cut off from Redis."""
DEAF_S = 0.5
"""Seconds between two looks while none are, or the record does not answer: a pause is seen within a second."""


class OperatorPauses:
    """Halts and releases lanes as the record says. `hears` tells whether announcements arrive; `known` are the pauses by lane."""

    def __init__(
        self,
        store: LaneStore,
        hears: Callable[[], bool],
        telemetry: Telemetry,
        *,
        rest_s: float = REST_S,
        deaf_s: float = DEAF_S,
    ) -> None:
        self._store, self._hears, self._telemetry = store, hears, telemetry
        self._rest_s, self._deaf_s = rest_s, deaf_s
        self._halts: dict[str, Callable[[bool], Awaitable[None]]] = {}
        self._asked = asyncio.Event()
        self.known: Mapping[str, LanePause] = {}

    def __repr__(self) -> str:
        return f"<OperatorPauses {', '.join(self.known) or 'none'}>"

    async def follow(self, lane: str, halt: Callable[[bool], Awaitable[None]]) -> None:
        """Call `halt` with true now, and with what is so after every look."""
        self._halts[lane] = halt
        await halt(True)

    def look_soon(self) -> None:
        """Look at once: something has changed, or was missed."""
        self._asked.set()

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            self._asked.clear()  # before the look: what is announced while it is under way may be too late for it
            rest_s = self._rest_s if await self.look() and self._hears() else self._deaf_s
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._asked.wait()

    async def look(self) -> bool:
        """Look once; false if the record does not answer, and then everything stays as it is."""
        try:
            self.known = await self._store.list_pauses()
        except Exception as error:  # noqa: BLE001  whatever it is, the next look comes soon
            report_unforeseen(self._telemetry, "pauses", error)
            return False
        await asyncio.gather(*(halt(lane in self.known) for lane, halt in self._halts.items()))
        return True
