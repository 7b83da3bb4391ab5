"""A client of a job queue, the same for each: it submits over so many connections, and polls until it has seen every result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from loadtests.bench.generator import BenchError
from loadtests.bench.open_loop import Connection

POLLERS = 8
"""Connections that look up results."""

POLL_S = 0.02
"""Seconds until a job is looked up again that was not finished."""

DEADLINE_S = 120.0

_ID = re.compile(rb'"id":"([^"]+)"')
_ACCEPTED, _FOUND = b"HTTP/1.1 202 ", b"HTTP/1.1 200 "


class Service(NamedTuple):
    """Where jobs are sent, and looked up below the same address. `headers` has whole lines; `result` is in each finished job."""

    url: str
    headers: tuple[str, ...]
    body: bytes
    result: bytes


class Finished(NamedTuple):
    """The ids of so many jobs, and the seconds from the first request until the last result was there."""

    ids: list[str]
    seconds: float


class JobClient:
    """Sends the same job again and again."""

    def __init__(self, service: Service) -> None:
        self._service = service
        parts = urlsplit(service.url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        head = f"content-type: application/json\r\ncontent-length: {len(service.body)}\r\n\r\n"
        self._submit = self._request("POST", self._path) + head.encode() + service.body

    def run(self, count: int, connections: int) -> Finished:
        """Run so many jobs; their results have been seen. Raises BenchError."""
        try:
            return uvloop.run(self._run(count, connections))
        except (TimeoutError, OSError) as error:
            raise BenchError(f"{self._service.url}: {type(error).__name__} with {count} jobs") from None

    async def _run(self, count: int, connections: int) -> Finished:
        async with asyncio.timeout(DEADLINE_S):
            opened = await asyncio.gather(*(self._connect() for _ in range(connections)))
            began, numbers, ids = perf_counter(), iter(range(count)), list[str]()
            try:
                await asyncio.gather(*(self._submit_over(each, numbers, ids) for each in opened))
                submitted, left = perf_counter(), iter(ids[::-1])  # most likely, the newest finishes last
                ended = await asyncio.gather(*(self._poll_over(each, left) for each in opened[:POLLERS]))
            finally:
                for connection in opened:
                    connection.close()
        return Finished(ids, max(submitted, *ended) - began)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port)
        return connection

    async def _submit_over(self, connection: Connection, numbers: Iterator[int], ids: list[str]) -> None:
        for _ in numbers:
            answer = await connection.ask(self._submit)
            found = _ID.search(answer)
            if found is None or not answer.startswith(_ACCEPTED):
                raise BenchError(f"a submit was answered with {answer[:600]!r}")
            ids.append(found[1].decode())

    async def _poll_over(self, connection: Connection, left: Iterable[str]) -> float:
        """Return when the last result was seen that was not there at first."""
        ended = 0.0
        for job in left:
            request = self._request("GET", f"{self._path}/{job}") + b"\r\n"
            while not self._is_finished(await connection.ask(request)):
                await asyncio.sleep(POLL_S)
                ended = perf_counter()
        return ended

    def _is_finished(self, answer: bytes) -> bool:
        if not answer.startswith(_FOUND) or b'"state":"failed"' in answer:
            raise BenchError(f"a look-up was answered with {answer[:600]!r}")
        return self._service.result in answer

    def _request(self, method: str, path: str) -> bytes:
        lines = (f"{method} {path} HTTP/1.1", "host: bench", *self._service.headers)
        return "".join(f"{line}\r\n" for line in lines).encode()
