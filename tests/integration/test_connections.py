"""What the settings of connections come to in a real process: limits, offers to upgrade, prefixes, other origins."""

from __future__ import annotations

import asyncio
import time

import httpx2
import orjson

from tests.support.paired_apis import GOOD, JSON, Answer, read_answer, request
from tests.support.stack import Stack

PAGE = "https://app.example.com"
H2C = (
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
)


async def test_the_settings_of_connections_are_kept(bare_stack: Stack) -> None:
    api = bare_stack.add_api(
        head_timeout_s=0.5,
        keep_alive_s=2,
        root_path="/jobs-api",
        trusted_proxies="127.0.0.1",
        cors_origins=PAGE,
    )
    await api.ready()
    await bare_stack.start(apis=0, consumers=0)
    key = ("Authorization", f"Bearer {bare_stack.key}")
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for extra in (H2C, H2C, ()):
        writer.write(request("POST", "/v1/jobs", (JSON, key, *extra), GOOD))
        answer: Answer = await read_answer(reader)
        assert answer.status == 202
        assert answer.headers["location"].startswith("/jobs-api/v1/jobs/")
        assert orjson.loads(answer.body)["links"]["self"] == answer.headers["location"]
    began = time.monotonic()
    assert await reader.read() == b""
    assert 1.5 < time.monotonic() - began < 10
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    async with httpx2.AsyncClient() as client:
        page = await client.get(api.url, headers={"x-forwarded-prefix": "/other", "origin": PAGE})
    assert page.json()["links"]["kinds"] == "/other/v1/kinds"
    assert page.headers["access-control-allow-origin"] == PAGE
