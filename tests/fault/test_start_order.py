"""Servers and processes started in any order: an api is ready once PostgreSQL is there, whatever else is, and jobs run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import permutations
from pathlib import Path

import httpx2
import pytest

from api.app import RunningApi, open_api
from infra.local.servers import Servers
from sluice.adapters.metrics import Metrics
from sluice.core.errors import ServerAway
from sluice.core.runtime.telemetry import Telemetry
from sluice.host.loading import load_watched
from tests.fault.chaos.schedule import SERVERS
from tests.support.job_client import SUM
from tests.support.proxy import NORMAL, Behaviour, Proxies, Proxy
from tests.support.servers import proxied_urls, settings_for
from tests.support.stack import PATIENT, Process, Stack
from tests.support.waiting import answers, until_found

APP = "api"
REFUSING = Behaviour(refusing=True)


class ProxiedServers:
    """Servers that are not there yet, behind proxies of one process alone."""

    def __init__(self, servers: Servers, proxies: Proxies) -> None:
        self._servers = servers
        self.proxies: dict[str, Proxy] = {name: proxies.add(getattr(servers, name).port) for name in SERVERS}
        for proxy in self.proxies.values():
            proxy.behave(REFUSING)

    async def start(self, name: str) -> None:
        """Let this server be there from now on."""
        await asyncio.to_thread(self.proxies[name].behave, NORMAL)

    @property
    def addresses(self) -> dict[str, object]:
        """Return the settings that lead here."""
        return proxied_urls(self._servers, {name: proxy.port for name, proxy in self.proxies.items()})


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    """Open the thread that proxies run in."""
    made = Proxies()
    yield made
    made.close()


async def test_an_api_is_ready_once_postgresql_is_there_in_whichever_of_all_orders(
    shared_stack: Stack, proxies: Proxies
) -> None:
    orders = list(permutations([*SERVERS, APP]))
    assert len(orders) == 24
    proxied = [ProxiedServers(shared_stack.servers, proxies) for _ in orders]
    async with asyncio.TaskGroup() as group:
        submits = [
            group.create_task(_start_in_order(servers, order, shared_stack))
            for servers, order in zip(proxied, orders, strict=True)
        ]
    rows = await shared_stack.finished([each.result() for each in submits])
    assert {(row["state"], row["attempt"]) for row in rows.values()} == {("succeeded", 1)}


async def _start_in_order(servers: ProxiedServers, order: tuple[str, ...], shared_stack: Stack) -> str:
    """Start everything in this order, check the api after each step, and return the id of a job it accepted at the end."""
    async with AsyncExitStack() as stack:
        api: RunningApi | None = None
        for step, name in enumerate(order):
            if name == APP:
                api = await stack.enter_async_context(_opened(servers))
            else:
                await servers.start(name)
            if api is not None:
                await _check_ready(api, "postgres" in order[: step + 1])
        assert api is not None
        return await _submit(api, shared_stack.key)


@asynccontextmanager
async def _opened(servers: ProxiedServers) -> AsyncIterator[RunningApi]:
    settings = settings_for(servers._servers, **(PATIENT | servers.addresses))
    async with open_api(settings, load_watched(["sluice.kinds.demo_sum"]), Metrics(), Telemetry()) as api:
        yield api


async def _check_ready(api: RunningApi, wanted: bool) -> None:
    async def connected() -> bool:
        try:
            await api.pings["postgresql"]()
        except ServerAway:
            return False
        return True

    if wanted:
        await until_found(connected)
    else:
        assert not await connected()


async def _submit(api: RunningApi, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx2.ASGITransport(api.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        answer = await client.post("/v1/jobs", json=SUM)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_a_consumer_works_once_the_servers_are_there_in_whichever_order(
    shared_stack: Stack, proxies: Proxies, tmp_path: Path
) -> None:
    orders = list(permutations(SERVERS))
    proxied = [ProxiedServers(shared_stack.servers, proxies) for _ in orders]
    consumers = [shared_stack.add_consumer(**servers.addresses) for servers in proxied]
    try:
        async with asyncio.TaskGroup() as group:
            for servers, order, consumer in zip(proxied, orders, consumers, strict=True):
                group.create_task(_start_servers_for(servers, order, consumer))
        await _until_all_have_claimed(shared_stack, consumers)
    finally:
        for consumer in consumers:
            consumer.kill()


async def _start_servers_for(servers: ProxiedServers, order: tuple[str, ...], consumer: Process) -> None:
    async with httpx2.AsyncClient() as client:
        for step, name in enumerate(order):
            wanted = 200 if "postgres" in order[:step] else 503
            await until_found(partial(answers, client, f"{consumer.private_url}/readyz", wanted))
            await servers.start(name)
    await consumer.ready()


async def _until_all_have_claimed(shared_stack: Stack, consumers: list[Process]) -> None:
    """Submit until each consumer has claimed a job."""
    async with shared_stack.client() as client:

        async def all_have_claimed() -> bool:
            answers = await asyncio.gather(*(client.post("/v1/jobs", json=SUM) for _ in range(20)))
            assert {each.status_code for each in answers} == {202}
            figures = await asyncio.gather(*(each.metrics() for each in consumers))
            return min(each["sluice_jobs_claimed_total"] for each in figures) > 0

        await until_found(all_have_claimed)
