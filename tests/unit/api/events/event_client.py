"""A client of a stream of events, without sockets: it gets every part as it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson

from api.http.asgi import AsgiApp, AsgiMessage
from tests.support.waiting import until


class Told(NamedTuple):
    """An event as a client reads it."""

    name: str
    id: str
    data: Any


class EventClient:
    """A client that reads all that comes; `open` is cleared to have it read nothing."""

    def __init__(self, app: AsgiApp, path: str, headers: Mapping[str, str], method: str = "GET") -> None:
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw, "client": ("127.0.0.1", 1), "state": {},
        }  # fmt: skip
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._left = asyncio.Event()
        self._asked = False
        self.task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: AsgiApp, scope: dict[str, Any]) -> None:
        await app(scope, self._receive, self._send)

    @property
    def text(self) -> str:
        """All that has come."""
        return b"".join(self.parts).decode()

    @property
    def events(self) -> list[Told]:
        """All events that have come, but for pauses between tries and signs of life."""
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in fields:
                found.append(Told(fields["event"], fields.get("id", ""), orjson.loads(fields["data"])))
        return found

    @property
    def names(self) -> list[str]:
        """What the events are called."""
        return [each.name for each in self.events]

    async def told(self, count: int) -> list[Told]:
        """The events, once there are so many."""
        await until(lambda: len(self.events) >= count)
        return self.events

    async def ended(self) -> list[Told]:
        """The events, once there will be no more."""
        await asyncio.wait_for(asyncio.shield(self.task), 10)
        return self.events

    async def leave(self) -> None:
        """Close the connection; return once the server has noticed."""
        self._left.set()
        await asyncio.wait_for(asyncio.shield(self.task), 10)

    async def _receive(self) -> AsgiMessage:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: AsgiMessage) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.parts.append(message["body"])


@asynccontextmanager
async def following(
    app: AsgiApp, path: str, headers: Mapping[str, str], method: str = "GET"
) -> AsyncIterator[EventClient]:
    """Follow a stream for the block."""
    client = EventClient(app, path, headers, method)
    try:
        yield client
    finally:
        client.reads.set()
        await client.leave()
