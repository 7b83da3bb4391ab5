"""Two api processes, one with and one without the fast path, and requests made of bare bytes."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from infra.local.ports import free_port
from tests.support.stack import Process, Stack, make_a_key

JSON = ("Content-Type", "application/json")
WAYS = ("express", "fastapi")
GOOD = b'{"kind":"demo.sum","input":{"values":[1,2,3]}}'
BODY_TIMEOUT_S = 1
RATES = {"submit_rate": "1000000/60", "poll_rate": "1000000/60", "failed_auth_rate": "off"}
"""Nothing is refused, but the headers are there."""
Headers = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """What came back over one connection, and whether it was closed then."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    @property
    def comparable(self) -> tuple[object, ...]:
        """Return what has to be the same from both apis."""
        skip = {"date", "x-request-id", "content-length", "retry-after", "etag", "location", "ratelimit"}
        headers = {name: value for name, value in self.headers.items() if name not in skip}
        return self.status, headers, self.shape

    @property
    def shape(self) -> object:
        """Return the problem without what differs from request to request, or the fields of a job."""
        document = orjson.loads(self.body) if self.body else None
        if isinstance(document, dict) and "request_id" in document:
            return document | {"request_id": ""}
        return sorted(document) if isinstance(document, dict) else document


class PairedApis:
    """Two api processes on the same servers, one with and one without the fast path."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.processes: dict[str, Process] = {}
        self.urls: dict[str, str] = {}
        self.keys: dict[str, str] = {}

    async def open(self) -> None:
        """Start both and make the keys."""
        for name, (tenant, scopes) in {
            "good": ("demo", ["submit", "read", "payloads"]),
            "reader": ("demo", ["read", "payloads"]),
            "submitter": ("demo", ["submit"]),
            "foreign": ("other", ["submit", "read", "payloads"]),
            "revoked": ("demo", ["submit", "read", "payloads"]),
            "expired": ("demo", ["submit", "read", "payloads"]),
        }.items():
            self.keys[name] = await make_a_key(self.stack.servers, tenant, scopes)
        await self._spoil()
        for way in WAYS:
            port = free_port()
            self.urls[way] = f"http://127.0.0.1:{port}"
            express = way == "express"
            self.processes[way] = self.stack.add_api(
                api_port=port, express=express, body_timeout_s=BODY_TIMEOUT_S, **RATES
            )
        await asyncio.gather(*(api.ready() for api in self.processes.values()))

    async def _spoil(self) -> None:
        spoil = "update api_keys set {} = now() - interval '1 s' where key_id = $1"
        async with self.stack.sql() as record:
            await record.execute(spoil.format("revoked_at"), self.keys["revoked"].split("_")[1])
            await record.execute(spoil.format("expires_at"), self.keys["expired"].split("_")[1])

    async def warm(self, way: str) -> None:
        """Send a good request, which must succeed; after it the key is known, so that the fast path answers."""
        headers = (JSON, ("Authorization", f"Bearer {self.keys['good']}"))
        answer = await exchange(self.urls[way], request("POST", "/v1/jobs", headers, GOOD))
        assert answer.status == 202, answer


async def exchange(url: str, raw: bytes, patience_s: float = 10) -> Answer:
    """Send these very bytes over one connection and read one answer."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
    try:
        writer.write(raw)
        async with asyncio.timeout(patience_s):
            answer = await read_answer(reader)
            closed = answer.headers.get("connection") == "close" and await reader.read() == b""
        return answer._replace(closed=closed)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read the next answer of this connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(head[0].split()[1]), headers, body, closed=False)


def request(
    method: str, target: str, headers: Headers, body: bytes = b"", length: int | None = None
) -> bytes:
    """Return the bytes of a request. A length of -1 leaves Content-Length out."""
    if length != -1 and (body or length is not None or method == "POST"):
        headers += (("Content-Length", str(len(body) if length is None else length)),)
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
