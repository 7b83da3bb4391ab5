"""Nodes of a RabbitMQ cluster die, freeze and come back under running processes that know all of them. `make fault-cluster` runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.ports import LOOPBACK
from infra.local.servers import Servers
from sluice.adapters.rabbitmq import deliveries, queues
from sluice.adapters.rabbitmq.consuming import UNANSWERED_TIMES
from sluice.adapters.rabbitmq.timeouts import CHECK_EVERY_S, NoAnswer
from sluice.core.lanes import Lane
from tests.fault.claims import check_claims
from tests.fault.jobs import submit
from tests.integration.rabbitmq.rabbitmq_fixture import Consumer, publish_until_confirmed, running
from tests.support.job_client import SUM
from tests.support.load import Load
from tests.support.rabbitmq_cluster import Cluster, Node, rabbitmq_cluster
from tests.support.servers import frozen
from tests.support.stack import Stack
from tests.support.waiting import until, until_found

QUEUE = "sluice.default.normal"
LANE = Lane("waiting", slots=16, ids_per_message=1)
MANY = 60
PULL_AFTER_S = 5


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    """Start two of three nodes; the third joins later."""
    with rabbitmq_cluster() as started:
        started.start(started.nodes[1])
        yield started


@pytest.fixture
def cluster(two_nodes: Cluster) -> Cluster:
    """Have all three nodes run."""
    two_nodes.nodes[2].start()
    return two_nodes


async def published(stack: Stack) -> bool:
    """Tell whether RabbitMQ has confirmed everything."""
    return not await stack.count("select count(*) from outbox")


@pytest.mark.timeout(240)
async def test_a_killed_leader_loses_nothing_and_work_goes_on_at_the_other_nodes(
    two_nodes: Cluster, servers: Servers, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, rabbitmq_url=two_nodes.url) as stack:
        await stack.start(apis=2, consumers=2)
        load = Load(stack)
        async with load.running():
            await load.more(MANY)
            await asyncio.to_thread(two_nodes.nodes[2].start)
            await asyncio.to_thread(two_nodes.grow, two_nodes.nodes[2])
            members = await asyncio.to_thread(two_nodes.members)
            assert set(members.values()) == {3}
            killed = await asyncio.to_thread(two_nodes.leader_of, QUEUE)
            await asyncio.to_thread(killed.kill)
            await load.more(MANY)
        await until_found(lambda: published(stack))
        await load.check()
        again = Load(stack)
        async with again.running():
            await asyncio.to_thread(killed.start)
            await again.more(MANY)
        await again.check()
        assert not load.refused + again.refused
        assert not await check_claims(stack)
        assert await stack.count("select count(*) from jobs where fence <> 1 or crash_count > 0") == 0


async def test_a_frozen_leader_loses_nothing_and_intake_goes_on(
    cluster: Cluster, servers: Servers, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, rabbitmq_url=cluster.url) as stack:
        await stack.start(apis=2, consumers=2)
        load = Load(stack)
        async with load.running():
            await load.more(MANY)
            with frozen(await asyncio.to_thread(cluster.leader_of, QUEUE)):
                await load.more(MANY)
        await load.check()
        assert not load.refused
        assert not await check_claims(stack)


@pytest.mark.timeout(180)
async def test_while_a_leader_is_frozen_jobs_that_nobody_can_publish_are_pulled(
    cluster: Cluster, servers: Servers, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, rabbitmq_url=cluster.url, pull_after_s=PULL_AFTER_S) as stack:
        await stack.start(consumers=0)
        leader = await asyncio.to_thread(cluster.leader_of, QUEUE)
        healthy = {"rabbitmq_url": without(cluster, leader)}
        for _ in range(2):
            await stack.add_consumer(**healthy).ready()
        await stack.finished(await submit(stack, SUM, 1))
        assert not sum([(await each.metrics())["sluice_pulling"] for each in stack.consumers])
        with frozen(leader):  # the connections of the consumers last
            async with stack.another_api(**healthy) as api:
                stack.url = api.url
                ids = await submit(stack, SUM, MANY)
                assert await stack.count("select sum(cardinality(ids)) from outbox") == MANY
                await stack.finished(ids, within_s=PULL_AFTER_S + 2 * CHECK_EVERY_S)
                for each in stack.consumers:
                    await each.until_metric("sluice_pulling", 1)
        for each in stack.consumers:
            await each.until_metric("sluice_pulling", 0)
        assert not await check_claims(stack)


def without(cluster: Cluster, leader: Node) -> str:
    """Return an address with all nodes but this one."""
    here, other = (each for each in cluster.nodes if each is not leader)
    return here.url.replace(f":{here.port}", f":{here.port},{LOOPBACK}:{other.port}")


async def test_a_queue_whose_leader_is_away_is_neither_counted_as_empty_nor_deleted(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "CONSUME_S", 0.5)
    consumer, asked, deleted = Consumer(), count_unanswered(monkeypatch), count_deleted(monkeypatch)
    async with running(cluster.url, LANE) as publisher:
        sent = await publish_until_confirmed(publisher, LANE)
    leader = await asyncio.to_thread(cluster.leader_of, LANE.queues["normal"])
    here, other = (each for each in cluster.nodes if each is not leader)
    address = f"127.0.0.1:{here.port}"
    url = here.url.replace(address, f"{address},{address}")
    async with running(url, LANE) as publisher:
        await until(lambda: publisher.connected)
        assert await publisher.depths() == {LANE.queues["normal"]: 1}
        with frozen(leader), frozen(other):
            async with running(url, LANE, consumer):
                await until(lambda: len(asked) >= 2 * UNANSWERED_TIMES)
                assert await publisher.depths() == {}
        async with running(url, LANE, consumer):
            await until(lambda: sent in consumer.ids)
    assert not deleted


def count_unanswered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the queues that do not answer a consumer."""
    found: list[str] = []
    consume = deliveries.QueueConsumer.consume

    async def noted(self: deliveries.QueueConsumer) -> None:
        try:
            await consume(self)
        except NoAnswer:
            found.append(self.source.queue)
            raise

    monkeypatch.setattr(deliveries.QueueConsumer, "consume", noted)
    return found


def count_deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the queues that were to be deleted: with its leader away, RabbitMQ may not get to do it in time."""
    found: list[str] = []

    async def noted(_: object, name: str) -> None:
        found.append(name)

    monkeypatch.setattr(queues, "delete", noted)
    return found
