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
from sluice.core.registry import load
from sluice.core.runtime.telemetry import Telemetry
from tests.fault.chaos.schedule import SERVERS
from tests.support.job_client import SUM
from tests.support.proxy import CALM, Proxies, Proxy, Trouble
from tests.support.servers import proxied_urls, settings_for
from tests.support.stack import PATIENT, Process, Stack
from tests.support.waiting import answers, until_found

APP = "api"
NOT_THERE = Trouble(refusing=True)


class Town:
    """Servers that are not there yet, one set of doors for each who waits for them."""

    def __init__(self, servers: Servers, proxies: Proxies) -> None:
        self._servers = servers
        self.doors: dict[str, Proxy] = {name: proxies.add(getattr(servers, name).port) for name in SERVERS}
        for door in self.doors.values():
            door.behave(NOT_THERE)

    async def start(self, name: str) -> None:
        """From now on this server is there."""
        await asyncio.to_thread(self.doors[name].behave, CALM)

    @property
    def addresses(self) -> dict[str, object]:
        """Settings that lead here."""
        return proxied_urls(self._servers, {name: door.port for name, door in self.doors.items()})


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    """Where doors are made."""
    made = Proxies()
    yield made
    made.close()


async def test_an_api_is_ready_once_postgresql_is_there_in_whichever_of_all_orders(
    shared_stack: Stack, proxies: Proxies
) -> None:
    orders = list(permutations([*SERVERS, APP]))
    assert len(orders) == 24
    towns = [Town(shared_stack.servers, proxies) for _ in orders]
    async with asyncio.TaskGroup() as group:
        told = [
            group.create_task(_grow(town, order, shared_stack))
            for town, order in zip(towns, orders, strict=True)
        ]
    rows = await shared_stack.finished([each.result() for each in told])
    assert {(row["state"], row["attempt"]) for row in rows.values()} == {("succeeded", 1)}


async def _grow(town: Town, order: tuple[str, ...], shared_stack: Stack) -> str:
    """Start everything in this order, looking at the api after each step; the id of a job that it accepted at the end."""
    async with AsyncExitStack() as stack:
        front: RunningApi | None = None
        for step, name in enumerate(order):
            if name == APP:
                front = await stack.enter_async_context(_opened(town))
            else:
                await town.start(name)
            if front is not None:
                await _is_as_ready_as(front, "postgres" in order[: step + 1])
        assert front is not None
        return await _accepted(front, shared_stack.key)


@asynccontextmanager
async def _opened(town: Town) -> AsyncIterator[RunningApi]:
    settings = settings_for(town._servers, **(PATIENT | town.addresses))
    async with open_api(settings, load(["sluice.kinds.demo_sum"]), Metrics(), Telemetry()) as front:
        yield front


async def _is_as_ready_as(front: RunningApi, wanted: bool) -> None:
    async def connected() -> bool:
        try:
            await front.pings["postgresql"]()
        except ServerAway:
            return False
        return True

    if wanted:
        await until_found(connected)
    else:
        assert not await connected()


async def _accepted(front: RunningApi, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx2.ASGITransport(front.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        answer = await client.post("/v1/jobs", json=SUM)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_a_consumer_works_once_the_servers_are_there_in_whichever_order(
    shared_stack: Stack, proxies: Proxies, tmp_path: Path
) -> None:
    orders = list(permutations(SERVERS))
    towns = [Town(shared_stack.servers, proxies) for _ in orders]
    consumers = [shared_stack.add_consumer(**town.addresses) for town in towns]
    try:
        async with asyncio.TaskGroup() as group:
            for town, order, consumer in zip(towns, orders, consumers, strict=True):
                group.create_task(_come_to_work(town, order, consumer))
        await _each_gets_work(shared_stack, consumers)
    finally:
        for consumer in consumers:
            consumer.kill()


async def _come_to_work(town: Town, order: tuple[str, ...], consumer: Process) -> None:
    async with httpx2.AsyncClient() as client:
        for step, name in enumerate(order):
            wanted = 200 if "postgres" in order[:step] else 503
            await until_found(partial(answers, client, f"{consumer.private_url}/readyz", wanted))
            await town.start(name)
    await consumer.ready()


async def _each_gets_work(shared_stack: Stack, consumers: list[Process]) -> None:
    """Submit until each has claimed a job."""
    async with shared_stack.client() as client:

        async def all_have_claimed() -> bool:
            answers = await asyncio.gather(*(client.post("/v1/jobs", json=SUM) for _ in range(20)))
            assert {each.status_code for each in answers} == {202}
            figures = await asyncio.gather(*(each.metrics() for each in consumers))
            return min(each["sluice_jobs_claimed_total"] for each in figures) > 0

        await until_found(all_have_claimed)
