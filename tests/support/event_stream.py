"""A client that follows a stream of server-sent events over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2
import orjson


class Told(NamedTuple):
    """An event as a client reads it."""

    name: str
    id: str
    data: Any


class EventStream:
    """The events of one answer, in the order in which they come."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.told: list[Told] = []

    async def next(self) -> Told | None:
        """Return the next event; None if there will be no more."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
            elif not line:
                if "event" in fields:
                    self.told.append(
                        Told(fields["event"], fields.get("id", ""), orjson.loads(fields["data"]))
                    )
                    return self.told[-1]
                fields = {}
        return None

    async def until(self, name: str) -> Told:
        """Return the next event of this name."""
        while told := await self.next():
            if told.name == name:
                return told
        raise AssertionError(f"the stream ended without {name}: {self.told}")

    async def rest(self) -> list[Told]:
        """Return all events, once there will be no more."""
        while await self.next():
            pass
        return self.told

    @property
    def said(self) -> list[str]:
        """The messages of all lines so far."""
        return [each.data["message"] for each in self.told if each.name == "log"]


@asynccontextmanager
async def follow(client: httpx2.AsyncClient, path: str, last: str = "") -> AsyncIterator[EventStream]:
    """Follow a stream for the block, behind the event with the id `last` if there is one."""
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", path, headers=headers) as response:
        yield EventStream(response)
