"""A consumer dies between the commit that ends a job and the event that tells of it: the event comes all the same."""

from __future__ import annotations

import aio_pika

from sluice.core.job_event import EXCHANGE
from tests.fault.jobs import submit
from tests.support.event_subscriber import Subscriber
from tests.support.stack import Stack
from tests.support.waiting import until_found

QUEUE = "sluice.test-kept"
SUM = {"kind": "demo.sum", "input": {"values": [1, 2]}}


async def test_an_ending_that_was_kept_is_told_by_another_consumer(bare_stack: Stack) -> None:
    rabbitmq = bare_stack.servers.rabbitmq
    await bare_stack.start(consumers=0)
    first = bare_stack.add_consumer(events="kept", pull_after_s=0.5)
    await first.ready()
    await until_found(lambda: bare_stack.count("select count(*) from listeners"))
    await subscribe(rabbitmq.url)
    rabbitmq.kill()
    ids = await submit(bare_stack, SUM, 5)
    await bare_stack.finished(ids)
    first.kill()
    assert await bare_stack.count("select count(*) from endings") == 5
    bare_stack.servers.up(rabbitmq)
    await bare_stack.add_consumer(events="kept").ready()
    subscriber = Subscriber()
    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        await (await channel.get_queue(QUEUE, ensure=False)).consume(subscriber.deliver)
        for job_id in ids:
            await subscriber.until_heard(job_id, "succeeded")
        await until_found(lambda: none_is_kept(bare_stack))
        await channel.queue_delete(QUEUE)


async def none_is_kept(stack: Stack) -> bool:
    """Tell whether all that was kept was confirmed."""
    return not await stack.count("select count(*) from endings")


async def subscribe(url: str) -> None:
    """Have a queue get every success, also while nobody reads it."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True)
        await queue.bind(exchange, "job.succeeded.#")
