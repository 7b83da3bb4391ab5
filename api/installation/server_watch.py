"""Whether the servers answer, and since when one does not: asked for by those who look, at most once in a few seconds for all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from sluice.core.errors import NotConfigured
from sluice.errors import SluiceError

FRESH_S = 3.0
PING_S = 1.0


class ServerState(NamedTuple):
    """A server: `up`, `away` or `off`, how long it took to answer, what is wrong, and since when it is known to be."""

    name: str
    state: str
    ms: float | None = None
    why: str = ""
    since: datetime | None = None


class ServerWatch:
    """Asks each server with its call of `pings`, which raises if it is away."""

    def __init__(self, pings: Mapping[str, Callable[[], Awaitable[None]]] | None = None) -> None:
        self._pings = pings or {}
        self._since: dict[str, datetime] = {}
        self._found: list[ServerState] = []
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def look(self) -> list[ServerState]:
        """Return what was found a moment ago, or ask."""
        async with self._asking:
            if monotonic() >= self._until:
                self._found = await asyncio.gather(*map(self._ask, self._pings))
                self._until = monotonic() + FRESH_S
        return self._found

    async def _ask(self, name: str) -> ServerState:
        began = monotonic()
        try:
            async with asyncio.timeout(PING_S):
                await self._pings[name]()
        except NotConfigured as error:
            return ServerState(name, "off", why=str(error).partition(": ")[2])
        except (SluiceError, TimeoutError) as error:
            since = self._since.setdefault(name, datetime.now(UTC))
            return ServerState(name, "away", why=str(error) or "did not answer in time", since=since)
        self._since.pop(name, None)
        return ServerState(name, "up", round((monotonic() - began) * 1000, 1))
