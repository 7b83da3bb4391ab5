"""RabbitMQ away or not configured: consumers poll the record, run each job once, and go back to deliveries by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from infra.local.server import Server
from tests.fault.claims import check_claims
from tests.fault.jobs import check_stops_under_load, submit, until_running
from tests.integration.test_without_rabbitmq import outbox_is_empty, without_rabbitmq
from tests.support.job_client import KINDS, SUM
from tests.support.load import Load
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

POLLING, PULLED, DELIVERED = "sluice_pulling", "sluice_jobs_pulled_total", "sluice_ids_delivered_total"


@asynccontextmanager
async def away(server: Server, end: Callable[[Server], None]) -> AsyncIterator[None]:
    """Keep the server dead or frozen for the block, then bring it back."""
    await asyncio.to_thread(end, server)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)  # also thaws


async def was_delivered(consumer: Process, count: float) -> bool:
    """Tell whether RabbitMQ has delivered so many ids to the consumer."""
    return (await consumer.metrics())[DELIVERED] >= count


@pytest.mark.parametrize("end", [Server.kill, Server.freeze])
async def test_while_rabbitmq_is_away_under_load_jobs_are_pulled_and_then_delivered_again(
    bare_stack: Stack, end: Callable[[Server], None]
) -> None:
    bare_stack._settings |= {"pull_after_s": 1}
    await bare_stack.start()
    consumer, load = bare_stack.consumers[0], Load(bare_stack)
    async with load.running():
        await load.more(60)
        await consumer.until_metric(POLLING, 0)
        before = await consumer.metrics()
        async with away(bare_stack.servers.rabbitmq, end):
            await consumer.until_metric(POLLING, 1)
            await load.more(60)
            await bare_stack.finished(list(load.accepted))  # all of them without RabbitMQ
        # A server that thaws may yet close connections, and be away once more.
        await consumer.until_metric(POLLING, 0)
        back = await consumer.metrics()
        await until_found(lambda: was_delivered(consumer, back[DELIVERED] + 60))
    await load.check()
    assert (load.refused, load.unknown) == ([], 0)
    assert back[PULLED] >= before[PULLED] + 60
    assert await check_claims(bare_stack) == {}
    await until_found(lambda: outbox_is_empty(bare_stack))


@pytest.mark.parametrize("configured", [True, False])
async def test_with_redis_away_as_well_jobs_are_still_pulled(bare_stack: Stack, configured: bool) -> None:
    bare_stack._settings |= {"pull_after_s": 1}
    if not configured:
        without_rabbitmq(bare_stack)
    await bare_stack.start()
    servers, load = bare_stack.servers, Load(bare_stack)
    async with AsyncExitStack() as both:
        await both.enter_async_context(away(servers.redis, Server.kill))
        if configured:
            await both.enter_async_context(away(servers.rabbitmq, Server.kill))
        async with load.running():
            await load.more(60)
            await bare_stack.consumers[0].until_metric(POLLING, 1)
            await load.more(60)
        await load.check()
    assert (load.refused, load.unknown) == ([], 0)
    assert await check_claims(bare_stack) == {}


async def test_what_a_killed_consumer_had_pulled_is_pulled_by_another(
    bare_stack: Stack, tmp_path: Path
) -> None:
    bare_stack._settings |= {"handlers": KINDS}
    await without_rabbitmq(bare_stack).start()
    gate = tmp_path / "gate"
    ids = await submit(bare_stack, {"kind": "own.loop", "input": {"gate": str(gate)}}, 4)
    await until_running(bare_stack, 4)
    bare_stack.consumers[0].kill()
    gate.touch()
    await bare_stack.add_consumer().ready()
    rows = await bare_stack.finished(ids)
    assert {(row["state"], row["fence"], row["attempt"]) for row in rows.values()} == {("succeeded", 2, 1)}
    assert await check_claims(bare_stack) == {"lease-lost": 4}


async def test_a_consumer_stopped_while_it_pulls_under_load_leaves_nothing_claimed(bare_stack: Stack) -> None:
    bare_stack._settings |= {"stop_s": 100}  # nothing has to wait for the deadline
    await without_rabbitmq(bare_stack).start()
    await check_stops_under_load(bare_stack)


async def test_jobs_that_were_queued_without_rabbitmq_are_found_once_it_is_switched_on(
    bare_stack: Stack,
) -> None:
    bare_stack._settings |= {"pull_after_s": 600}  # however long the first connection takes
    await without_rabbitmq(bare_stack).start(consumers=0)
    ids = await submit(bare_stack, SUM, 40)
    await until_found(lambda: outbox_is_empty(bare_stack))
    assert bare_stack.apis[0].stop() == 0
    del bare_stack.environment["SLUICE_RABBITMQ_URL"]
    consumer = bare_stack.add_consumer()
    await consumer.ready()
    rows = await bare_stack.finished(ids)
    assert {row["state"] for row in rows.values()} == {"succeeded"}
    figures = await consumer.metrics()
    assert (figures[PULLED], figures[DELIVERED] >= 40) == (0, True)
