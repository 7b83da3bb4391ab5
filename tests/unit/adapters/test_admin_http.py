"""The private port, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from sluice.adapters import admin_http as private_port
from sluice.adapters.admin_http import AdminApp, serve_admin
from sluice.adapters.http_server import listen
from sluice.adapters.memory_limit import read_memory_limit
from sluice.adapters.metrics import Metrics
from sluice.core.errors import NotConfigured, ServerAway, ServerUnfit
from sluice.errors import StartRefused


class Server:
    """A dependency that can be away or frozen."""

    def __init__(self) -> None:
        self.away = self.frozen = self.unfit = False
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        if self.frozen:
            await asyncio.get_running_loop().create_future()
        if self.unfit:
            raise ServerUnfit("postgresql", "migrate first")
        if self.away:
            raise ServerAway("db.internal")


@pytest.fixture
def record() -> Server:
    return Server()


@pytest.fixture
def cache() -> Server:
    return Server()


@pytest.fixture
def port(record: Server, cache: Server) -> AdminApp:
    return AdminApp("api", {"postgresql": record.ping, "redis": cache.ping}, Metrics())


@pytest.fixture
async def client(port: AdminApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serve_admin(port, "127.0.0.1", 0) as number,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{number}") as client,
    ):
        yield client


async def shown(port: AdminApp) -> dict[str, Any]:
    """What it says of itself when it is asked."""
    async with (
        serve_admin(port, "127.0.0.1", 0) as number,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{number}") as client,
    ):
        return dict((await client.get("/check")).json())


async def test_it_is_alive_and_ready(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_without_the_record_it_is_alive_and_not_ready(
    client: httpx2.AsyncClient, record: Server
) -> None:
    record.away = True
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 503
    check = await client.get("/check")
    assert (check.status_code, check.json()["status"]) == (503, "failing")
    assert "db.internal" not in check.text


async def test_without_another_server_it_is_ready_and_degraded(
    client: httpx2.AsyncClient, cache: Server
) -> None:
    cache.away = True
    assert (await client.get("/readyz")).status_code == 200
    check = await client.get("/check")
    assert (check.status_code, check.json()["status"]) == (200, "degraded")
    dependencies = check.json()["dependencies"]
    assert (dependencies["postgresql"]["status"], dependencies["redis"]["status"]) == ("up", "away")
    assert dependencies["redis"]["ms"] >= 0


async def test_a_server_that_is_unfit_is_shown_with_its_remedy(port: AdminApp, record: Server) -> None:
    record.unfit = True
    dependency = (await shown(port))["dependencies"]["postgresql"]
    assert (dependency["status"], dependency["why"]) == ("unfit", "postgresql: migrate first")


async def test_doubts_degrade(record: Server) -> None:
    lines = ["one"]
    port = AdminApp("api", {"postgresql": record.ping}, Metrics(), lambda: lines)
    assert ((await shown(port))["status"], (await shown(port))["doubts"]) == ("degraded", ["one"])
    lines.clear()
    assert ((await shown(port))["status"], (await shown(port))["doubts"]) == ("ok", [])


async def test_a_frozen_server_does_not_freeze_the_check(
    client: httpx2.AsyncClient, cache: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_port, "PING_S", 0.02)
    cache.frozen = True
    assert (await client.get("/check")).json()["dependencies"]["redis"]["why"] == "TimeoutError"


async def test_a_server_that_is_not_configured_is_said_with_what_to_do(record: Server) -> None:
    async def absent() -> None:
        raise NotConfigured("rabbitmq", "set its address")

    port = AdminApp("consumer", {"postgresql": record.ping, "rabbitmq": absent}, Metrics())
    port.notes["dispatch"] = lambda: "pull"
    async with serve_admin(port, "127.0.0.1", 0) as number, httpx2.AsyncClient() as client:
        check = await client.get(f"http://127.0.0.1:{number}/check")
    assert check.status_code == 200
    shown = check.json()
    assert (shown["status"], shown["dispatch"]) == ("degraded", "pull")
    assert shown["dependencies"]["rabbitmq"] == {"status": "not configured", "remedy": "set its address"}


async def test_a_draining_process_is_not_ready(client: httpx2.AsyncClient, port: AdminApp) -> None:
    port.draining = True
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/check")).json()["draining"] is True


async def test_figures_are_shown(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "sluice_jobs_accepted_total" in answer.text
    newer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert newer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert newer.text.endswith("# EOF\n")


async def test_nothing_else_is_there(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/jobs")).status_code == 404


def test_a_taken_port_refuses_the_start() -> None:
    with listen("127.0.0.1", 0) as listener:
        number = listener.getsockname()[1]
        with pytest.raises(StartRefused, match=str(number)):
            listen("127.0.0.1", number)


async def test_a_scrape_shows_how_much_memory_the_process_may_use(client: httpx2.AsyncClient) -> None:
    lines = (await client.get("/metrics")).text.splitlines()
    (shown,) = [line for line in lines if line.startswith("sluice_memory_limit_bytes ")]
    assert float(shown.split()[1]) == read_memory_limit() > 0


async def scraped(client: httpx2.AsyncClient) -> dict[str, float]:
    """What a scrape shows of servers and doubts."""
    lines = (await client.get("/metrics")).text.splitlines()
    rows = (line.rsplit(" ", 1) for line in lines if line.startswith(("sluice_server_", "sluice_doubts")))
    return {name: float(value) for name, value in rows if not name.endswith("_total")}


async def test_a_scrape_shows_each_server_as_it_is_at_that_moment(
    client: httpx2.AsyncClient, record: Server, cache: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_port, "FRESH_S", -1)
    found = await scraped(client)
    assert (found['sluice_server_up{server="postgresql"}'], found['sluice_server_up{server="redis"}']) == (
        1,
        1,
    )
    assert 0 <= found['sluice_server_ping_seconds{server="redis"}'] < private_port.PING_S
    cache.away = record.unfit = True
    found = await scraped(client)
    assert (found['sluice_server_up{server="postgresql"}'], found['sluice_server_up{server="redis"}']) == (
        0,
        0,
    )
    assert [name for name in found if "ping" in name] == []


async def test_scrapes_that_follow_each_other_ask_the_servers_once(
    client: httpx2.AsyncClient, record: Server
) -> None:
    for _ in range(3):
        assert 'sluice_server_up{server="postgresql"}' in await scraped(client)
    assert record.pings == 1


async def test_a_scrape_shows_no_server_that_is_not_configured_and_counts_doubts() -> None:
    async def absent() -> None:
        raise NotConfigured("rabbitmq", "set its address")

    port = AdminApp("consumer", {"rabbitmq": absent}, Metrics(), lambda: ["one", "two"])
    async with (
        serve_admin(port, "127.0.0.1", 0) as number,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{number}") as client,
    ):
        assert await scraped(client) == {"sluice_doubts": 2}
