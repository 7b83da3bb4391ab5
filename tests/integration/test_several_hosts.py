"""Addresses with several hosts, of which some are dead, silent or of no use: what is alive is found within the usual budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from infra.local.redis import Redis
from infra.local.servers import Servers
from sluice.adapters.postgres.connecting import connect_to_primary
from sluice.adapters.postgres.pool import Database
from sluice.adapters.rabbitmq import Broker
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.test_http import run, sluice
from tests.support.proxy import BOTH, Behaviour, Proxies
from tests.support.servers import settings_for
from tests.support.waiting import until

DEAD = "127.0.0.1:9"
RECORD_S = float(Settings.model_fields["record_budget_s"].default)


def after(hosts: str, url: str) -> str:
    """Put these hosts before the one in the address."""
    here = URL(url).authority.rpartition("@")[2]
    return url.replace(here, f"{hosts},{here}")


@pytest.fixture
def silent(shared_servers: Servers) -> Iterator[str]:
    """Yield a host that takes connections and never says a word."""
    proxies = Proxies()
    proxy = proxies.add(shared_servers.postgres.port)
    proxy.behave(Behaviour(silent=BOTH))
    yield f"127.0.0.1:{proxy.port}"
    proxies.close()


async def test_every_command_passes_by_a_dead_host(servers: Servers) -> None:
    address = after(DEAD, servers.postgres.url)
    for words in (("migrate",), ("keys", "list", "--record"), ("keys", "peppers"), ("verify",)):
        status, _, err = await sluice(servers, *words, SLUICE_POSTGRES_URL=address)
        assert (status, err) == (0, "")


async def test_a_silent_host_costs_a_request_less_than_it_waits_for_the_record(
    servers: Servers, silent: str
) -> None:
    database = Database(after(silent, servers.postgres.url), "tests", Telemetry(), 1)
    assert await database.fetch("ping", budget_s=RECORD_S)
    await database.close()


async def test_what_is_wrong_with_each_host_is_said_without_the_password(servers: Servers) -> None:
    address = after(DEAD, str(URL(servers.postgres.url).with_port(10)))
    with pytest.raises(ConnectionError) as raised:
        await connect_to_primary(address)
    assert str(raised.value).startswith("127.0.0.1:9: ")
    assert "127.0.0.1:10: " in str(raised.value)
    assert servers.postgres.password not in str(raised.value)


async def test_a_wrong_password_is_not_hidden_by_a_dead_host(servers: Servers) -> None:
    address = after(DEAD, servers.postgres.url.replace("sluice:", "sluice:not"))
    status, _, err = await sluice(servers, "migrate", SLUICE_POSTGRES_URL=address)
    assert (status, "the user or the password in SLUICE_POSTGRES_URL" in err) == (2, True)


async def test_rabbitmq_is_found_at_whichever_host_it_is(servers: Servers) -> None:
    lanes = settings_for(servers).all_lanes.values()
    broker = Broker(after(DEAD, servers.rabbitmq.url), "tests", [*lanes], Telemetry())
    await broker.start()
    await until(lambda: broker.connected, within_s=20)
    await broker.close()


class ClusterNode(Redis):
    """A Redis of which a cluster could be made."""

    def _write_conf(self, file: Path, shared: Path, local: str) -> None:
        super()._write_conf(file, shared, f"{local}cluster-enabled yes\n")


async def test_a_redis_cluster_is_refused_at_the_start(servers: Servers, tmp_path: Path) -> None:
    node = ClusterNode(tmp_path / "cluster")
    try:
        await asyncio.to_thread(node.start)
        status, _, err = await run(servers, "api", SLUICE_REDIS_URL=node.url, SLUICE_LAME_DUCK_S="0")
    finally:
        node.stop()
    assert status == 2
    assert err.splitlines()[-1].startswith("sluice: SLUICE_REDIS_URL leads to a Redis Cluster")
