"""How the server that others depend on is taken away where there is a spare, and comes back as one."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from infra.local.servers import Servers
from sluice.core.lanes import queue_name
from tests.fault.chaos.schedule import Fault
from tests.support.rabbitmq_cluster import Node
from tests.support.redundant_servers import RedundantServers

QUEUE = queue_name("default", "normal")


def spares(servers: Servers) -> RedundantServers:
    """Return the servers as what they have to be for these faults."""
    assert isinstance(servers, RedundantServers)
    return servers


async def promote(servers: RedundantServers, fault: Fault) -> float:
    """Kill the primary and promote its standby; then make one of it."""
    await asyncio.to_thread(servers.postgres.kill)
    await asyncio.sleep(fault.lasts_s)
    await asyncio.to_thread(servers.promote)
    ended = time.time()
    await asyncio.to_thread(servers.add_standby)
    return ended


async def switch_redis(servers: RedundantServers, fault: Fault) -> float:
    """Kill the master and have the Sentinel replace it; then start it again, as a replica."""
    await asyncio.to_thread(servers.redis.kill)
    await asyncio.sleep(fault.lasts_s)
    await servers.switch_redis()
    ended = time.time()
    await asyncio.to_thread(servers.spare_redis.start)
    return ended


async def kill_leader(servers: RedundantServers, fault: Fault) -> float:
    """Kill the node that leads the busiest queue."""
    node = await _leader(servers)
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(fault.lasts_s)
    await asyncio.to_thread(node.start)
    return time.time()


async def freeze_leader(servers: RedundantServers, fault: Fault) -> float:
    """Stop the node that leads the busiest queue; it goes on later."""
    node = await _leader(servers)
    await asyncio.to_thread(node.freeze)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        await asyncio.to_thread(node.thaw)
    return time.time()


async def _leader(servers: RedundantServers) -> Node:
    """Return the node that leads the busiest queue, after waiting for one."""
    while True:
        with suppress(LookupError):
            return await asyncio.to_thread(servers.cluster.leader_of, QUEUE)
