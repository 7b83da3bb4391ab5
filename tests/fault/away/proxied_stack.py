"""A stack with the product's own budgets, whose api reaches each server through a proxy, and ways for a server to be away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from infra.local.server import Server
from infra.local.servers import Servers
from sluice.core.runtime.settings import Settings
from tests.fault.away.read_only_servers import disk_alarm, full_disk, no_writes, read_only
from tests.fault.chaos.schedule import SERVERS
from tests.support.job_client import KINDS
from tests.support.proxy import BOTH, CALM, Proxies, Proxy, Trouble
from tests.support.servers import empty, proxied_urls
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

BUDGETS = {"postgres": ("record_budget_s", "accept_budget_s"), "redis": ("redis_budget_s",)}
"""How long requests may wait for each server."""

TROUBLES = {
    "refused": Trouble(refusing=True),
    "silent": Trouble(silent=BOTH),
    "slow": Trouble(latency_s=0.15),  # a round trip takes 300 ms
}

REFUSALS = {
    ("postgres", "full"): full_disk,
    ("postgres", "read-only"): read_only,
    ("rabbitmq", "alarm"): disk_alarm,
    ("redis", "read-only"): no_writes,
}


class Site:
    """Two apis behind proxies, one consumer that is not.

    Each api has the product's own budget for the server that it will miss, and patience with the others: on a busy
    machine these must not seem to be away as well.
    """

    def __init__(self, servers: Servers, directory: Path) -> None:
        self.servers, self._proxies = servers, Proxies()
        self.edges = {name: self._proxies.add(self.server(name).port) for name in SERVERS}
        self.stack = Stack(servers, directory, handlers=KINDS)

    def api(self, missing: str) -> Process:
        """The one that is meant to miss this server."""
        return self.stack.apis[missing == "postgres"]

    def server(self, name: str) -> Server:
        """The server of this name."""
        found: Server = getattr(self.servers, name)
        return found

    async def open(self) -> None:
        """Start everything."""
        await empty(self.servers)
        for missing in ("redis", "postgres"):
            budgets = {name: Settings.model_fields[name].default for name in BUDGETS[missing]}
            self.stack.add_api(**self.addresses(), **budgets)
        await self.stack.start(apis=0)

    def close(self) -> None:
        """Stop everything."""
        self.stack.stop()
        self._proxies.close()

    async def well(self) -> None:
        """Return once the apis find nothing wrong."""

        async def look() -> bool:
            return {(await shown(api))["status"] for api in self.stack.apis} == {"ok"}

        async with asyncio.timeout(60):
            await until_found(look)

    def addresses(self) -> dict[str, object]:
        """Settings that lead to the proxies."""
        return proxied_urls(self.servers, {name: edge.port for name, edge in self.edges.items()})

    @asynccontextmanager
    async def away(self, name: str, how: str) -> AsyncIterator[None]:
        """Within the block this server is away for the api: `killed`, `frozen`, `refused`, `silent` or `slow`.

        Or it takes no writes: it is `read-only`, PostgreSQL is `full`, RabbitMQ has an `alarm`.
        """
        server, edge = self.server(name), self.edges[name]
        if (name, how) in REFUSALS:
            async with REFUSALS[name, how](self.servers):
                yield
            return
        try:
            await asyncio.to_thread(_begin, how, server, edge)
            yield
        finally:
            await asyncio.to_thread(_end, server, edge)


def _begin(how: str, server: Server, edge: Proxy) -> None:
    match how:
        case "killed":
            server.kill()
        case "frozen":
            server.freeze()
        case _:
            edge.behave(TROUBLES[how])


def _end(server: Server, edge: Proxy) -> None:
    edge.behave(CALM)
    server.start()  # thaws as well


async def shown(process: Process) -> dict[str, Any]:
    """What a process says of itself and its servers."""
    async with httpx2.AsyncClient(timeout=30) as client:
        return dict((await client.get(f"{process.private_url}/check")).json())


@contextmanager
def site(servers: Servers, directory: Path) -> Iterator[Site]:
    """Everything up for the block. For fixtures, outside any loop."""
    servers.up()
    made = Site(servers, directory)
    try:
        asyncio.run(made.open())
        yield made
    finally:
        made.close()
