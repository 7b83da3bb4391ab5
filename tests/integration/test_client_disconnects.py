"""Thousands of clients that leave at any byte and any moment leave nothing behind: no task, file, waiter or connection."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import httpx2
import orjson
import pytest
import uvicorn

from api.app import RunningApi, open_api
from api.http.uvicorn_protocol import Protocol
from infra.local.servers import Servers
from sluice.adapters.metrics import Metrics
from sluice.core.runtime.batching import Batcher
from sluice.core.runtime.telemetry import Telemetry
from sluice.host.loading import load_watched
from tests.support.servers import settings_for
from tests.support.stack import make_a_key
from tests.support.waiting import until

ABORTED = 1_000
AT_ONCE = 100
WAITERS = 150
SPARE = 3


class Api:
    """An api in this process, whose internals show what is left."""

    def __init__(self, running: RunningApi, metrics: Metrics, port: int, key: str) -> None:
        self.running, self.metrics, self.port, self.key = running, metrics, port, key
        self.job = ""

    def left(self) -> dict[str, int]:
        """Count everything that a request holds while it lasts."""
        gc.collect()
        tasks = Counter(task.get_name().split("-")[0] for task in asyncio.all_tasks())
        batchers = [each for each in gc.get_objects() if isinstance(each, Batcher)]
        return {
            "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  iterating opens one more in turn
            "tasks": sum(tasks.values()),
            "requests": self.metrics.http.in_flight,
            "waiting": len(self.running.state.waiting) + len(self.running.state.waiting._waiters),
            "batched": sum(len(each) + len(each._flights) for each in batchers),
        }

    def client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)

    def request(self, rng: Random, number: int) -> bytes:
        """Return the bytes of a submit, a look-up or a wait, for the fast path or (with a query) not."""
        body = orjson.dumps({"kind": "demo.sum", "input": {"values": [number, 1]}})
        head = f"Host: x\r\nAuthorization: Bearer {self.key}\r\nIdempotency-Key: k{number}\r\n"
        post = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        wait = (
            f"{head}Content-Type: application/json\r\nPrefer: wait=50\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return rng.choice(
            [
                b"POST /v1/jobs HTTP/1.1\r\n" + post,
                b"POST /v1/jobs?wait=50 HTTP/1.1\r\n" + post,
                b"POST /v1/jobs HTTP/1.1\r\n" + wait.encode() + body,
                f"GET /v1/jobs/{self.job} HTTP/1.1\r\n{head}\r\n".encode(),
                f"GET /v1/jobs/{self.job}?wait=50 HTTP/1.1\r\n{head}\r\n".encode(),
                f"GET /v1/jobs/{self.job}/result?wait=50 HTTP/1.1\r\n{head}\r\n".encode(),
                f"GET /v1/jobs?page_size=5 HTTP/1.1\r\n{head}\r\n".encode(),
            ]
        )


@asynccontextmanager
async def serving(servers: Servers) -> AsyncIterator[Api]:
    """Serve an api in this process; without a consumer, so that nothing ends by itself."""
    settings = settings_for(
        servers, waiters=WAITERS, record_budget_s=10, accept_budget_s=20, redis_budget_s=2
    )
    key, metrics = await make_a_key(servers, "demo", ["submit", "read", "payloads", "admin"]), Metrics()
    async with open_api(
        settings, load_watched(settings.handlers), metrics, Telemetry(metrics.sink)
    ) as running:
        config = uvicorn.Config(
            running.app, http=Protocol, ws="none", lifespan="off", log_config=None, port=0
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # uvicorn looks for it all the same
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await until(lambda: server.started)
                yield Api(running, metrics, listener.getsockname()[1], key)
            finally:
                server.should_exit = True
                running.state.waiting.release()
                await task


async def leave_early(api: Api, rng: Random, number: int) -> None:
    """Send a request or a part of it, stay for a moment, and leave with or without a good-bye."""
    whole = api.request(rng, number)
    part = whole[: rng.randrange(len(whole))] if rng.random() < 0.4 else whole
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(part)
    await asyncio.sleep(rng.choice([0, 0, 0.001, 0.005, 0.05]) * rng.random())
    if rng.random() < 0.5:
        linger = struct.pack("ii", 1, 0)  # a reset instead of a good-bye
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.timeout(120)
async def test_clients_that_leave_at_any_moment_leave_nothing_behind(servers: Servers) -> None:
    async with serving(servers) as api:
        await everything_works(api)
        before = api.left()
        rng = Random(29)
        numbers = iter(range(ABORTED))

        async def leave_and_leave() -> None:
            for number in numbers:
                await leave_early(api, rng, number)

        await asyncio.gather(*(leave_and_leave() for _ in range(AT_ONCE)))
        await nothing_is_left(api, before)
        await everything_works(api)
        await nothing_is_left(api, before)
        assert ("POST", "/v1/jobs", 499) in api.metrics.http._series, "nobody left before the answer"


async def nothing_is_left(api: Api, before: dict[str, int]) -> None:
    """Wait until nothing is left; the costly look comes when no request is under way any more."""
    async with asyncio.timeout(30):
        await until(lambda: not api.metrics.http.in_flight)
        await until(lambda: not wrong(before, api.left()))


def wrong(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    """Return what is left over."""
    return {
        name: count - before[name]
        for name, count in now.items()
        if count > before[name] + (SPARE if name in ("files", "tasks") else 0)
    }


async def everything_works(api: Api) -> None:
    """Let as many wait as may, and as many submit at once; all are answered."""
    async with api.client() as client:
        answers = await asyncio.gather(
            *(
                client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 1}})
                for _ in range(60)
            )
        )
        assert {each.status_code for each in answers} == {202}
        api.job = answers[0].json()["id"]
        waits = [asyncio.create_task(client.get(f"/v1/jobs/{each.json()['id']}?wait=50")) for each in answers]
        await until(lambda: len(api.running.state.waiting) == len(answers))
        api.running.state.waiting.wake({})
        cancelled = await asyncio.gather(
            *(client.post(f"/v1/jobs/{each.json()['id']}/cancel") for each in answers[1:])
        )
        assert {each.status_code for each in cancelled} == {200}
        assert len(await asyncio.gather(*waits[1:])) == len(answers) - 1
        waits[0].cancel()
        await asyncio.wait(waits[:1])
        await until(lambda: not len(api.running.state.waiting))
