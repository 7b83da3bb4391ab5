"""A stack with the product's own budgets whose api reaches each server through a proxy, and the ways to take a server away."""

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
from tests.support.proxy import BOTH, NORMAL, Behaviour, Proxies, Proxy
from tests.support.servers import empty, proxied_urls
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

BUDGETS = {"redis": ("redis_budget_s",), "postgres": ("record_budget_s", "accept_budget_s"), "rabbitmq": ()}
"""How long requests may wait for each server."""

BEHAVIOURS = {
    "refused": Behaviour(refusing=True),
    "silent": Behaviour(silent=BOTH),
    "slow": Behaviour(latency_s=0.15),  # a round trip takes 300 ms
}

REFUSALS = {
    ("postgres", "full"): full_disk,
    ("postgres", "read-only"): read_only,
    ("rabbitmq", "alarm"): disk_alarm,
    ("redis", "read-only"): no_writes,
}


class ProxiedStack:
    """An api for each server, behind proxies, and a consumer that is not.

    Each api has the product's own budget for the server it is going to miss and a generous one for the others, which
    must not seem to be away as well on a busy machine.
    """

    def __init__(self, servers: Servers, directory: Path) -> None:
        self.servers, self._proxies = servers, Proxies()
        self.proxies = {name: self._proxies.add(self.server(name).port) for name in SERVERS}
        self.stack = Stack(servers, directory, handlers=KINDS)

    def api(self, missing: str) -> Process:
        """Return the api that is meant to miss this server."""
        return self.stack.apis[list(BUDGETS).index(missing)]

    def server(self, name: str) -> Server:
        """Return the server of this name."""
        found: Server = getattr(self.servers, name)
        return found

    async def open(self) -> None:
        """Start everything."""
        await empty(self.servers)
        for names in BUDGETS.values():
            budgets = {name: Settings.model_fields[name].default for name in names}
            self.stack.add_api(**self.addresses(), **budgets)
        await self.stack.start(apis=0)

    def close(self) -> None:
        """Stop everything."""
        self.stack.stop()
        self._proxies.close()

    async def until_healthy(self) -> None:
        """Return once all apis report that all is well."""

        async def look() -> bool:
            return {(await check(api))["status"] for api in self.stack.apis} == {"ok"}

        async with asyncio.timeout(60):
            await until_found(look)

    def addresses(self) -> dict[str, object]:
        """Return the settings that lead to the proxies."""
        return proxied_urls(self.servers, {name: proxy.port for name, proxy in self.proxies.items()})

    @asynccontextmanager
    async def away(self, name: str, how: str) -> AsyncIterator[None]:
        """Take this server away from the api for the block: `killed`, `frozen`, `refused`, `silent` or `slow`.

        Or let it refuse writes: `read-only`, PostgreSQL `full`, RabbitMQ with an `alarm`.
        """
        server, proxy = self.server(name), self.proxies[name]
        if (name, how) in REFUSALS:
            async with REFUSALS[name, how](self.servers):
                yield
            return
        try:
            await asyncio.to_thread(_begin, how, server, proxy)
            yield
        finally:
            await asyncio.to_thread(_end, server, proxy)


def _begin(how: str, server: Server, proxy: Proxy) -> None:
    match how:
        case "killed":
            server.kill()
        case "frozen":
            server.freeze()
        case _:
            proxy.behave(BEHAVIOURS[how])


def _end(server: Server, proxy: Proxy) -> None:
    proxy.behave(NORMAL)
    server.start()  # also thaws


async def check(process: Process) -> dict[str, Any]:
    """Return what a process reports about itself and its servers."""
    async with httpx2.AsyncClient(timeout=30) as client:
        return dict((await client.get(f"{process.private_url}/check")).json())


@contextmanager
def proxied_stack(servers: Servers, directory: Path) -> Iterator[ProxiedStack]:
    """Run everything for the block. For fixtures, outside any loop."""
    servers.up()
    made = ProxiedStack(servers, directory)
    try:
        asyncio.run(made.open())
        yield made
    finally:
        made.close()
