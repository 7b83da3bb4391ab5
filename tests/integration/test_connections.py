"""What the settings of connections come to in a real process: limits, offers to upgrade, prefixes, other origins."""

from __future__ import annotations

import asyncio
import time

import httpx2
import orjson

from tests.support.paired_apis import GOOD, JSON, Answer, read_answer, request
from tests.support.stack import Process, Stack

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


async def test_an_address_has_as_many_connections_as_it_may_and_a_proxy_as_many_as_it_needs(
    bare_stack: Stack,
) -> None:
    apis = [
        bare_stack.add_api(peer_connections=2),
        bare_stack.add_api(peer_connections=2, trusted_proxies="127.0.0.1"),
    ]
    for api in apis:
        await api.ready()
    assert [await answered(api) for api in apis] == [([200, 200, 503], 2), ([200, 200, 200], 3)]


async def answered(api: Process) -> tuple[list[int], float]:
    """Open three connections, and ask on each once all are open; return the statuses, and how many the process says to have."""
    port = int(api.url.rpartition(":")[2])
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for _, writer in clients:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    statuses = [int((await reader.readline()).split()[1]) for reader, _ in clients]
    metrics = await api.metrics()
    for _, writer in clients:
        writer.close()
    return statuses, metrics["sluice_connections"]
