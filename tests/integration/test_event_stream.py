"""Replay: the stream of infra/rabbitmq/event-stream.json keeps events for who comes later, and whoever asks again."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import aio_pika
import orjson

from infra.local.servers import Servers
from sluice.adapters.rabbitmq import EventBroker
from sluice.core.job_event import describe
from sluice.core.runtime.telemetry import Telemetry
from tests.support.make_jobs import finished_job
from tests.support.waiting import until

DEFINITIONS = Path(__file__).parents[2] / "infra" / "rabbitmq" / "event-stream.json"
STREAM = "sluice.events.replay"


async def replayed(url: str, count: int, offset: str | int) -> list[str]:
    """The ids of so many events, from this offset on."""
    heard: list[str] = []

    async def deliver(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        heard.append(message.message_id or "")
        await message.ack()

    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        queue = await channel.get_queue(STREAM, ensure=False)
        await queue.consume(deliver, arguments={"x-stream-offset": offset})
        await until(lambda: len(heard) >= count)
    return heard


async def test_who_comes_later_hears_it_all_as_often_as_wanted(shared_servers: Servers) -> None:
    rabbitmq = shared_servers.rabbitmq
    shared_servers.up(rabbitmq)
    copied = shutil.copy(DEFINITIONS, rabbitmq.directory)  # another root sees its own directory alone
    await asyncio.to_thread(rabbitmq.control, "import_definitions", rabbitmq._seen(Path(copied).name))
    broker = EventBroker(rabbitmq.url, "tests", Telemetry(), budget_s=5)
    await broker.start()
    await until(lambda: broker.connected)
    sent = [describe(finished_job()) for _ in range(30)]
    for each in sent:
        await broker.publish(each)
    ids = [each.id for each in sent]
    assert await replayed(rabbitmq.url, 30, "first") == ids
    assert await replayed(rabbitmq.url, 20, 10) == ids[10:]
    await broker.close()
    async with await aio_pika.connect(rabbitmq.url) as connection:
        await (await connection.channel()).queue_delete(STREAM)


def test_the_stream_is_bounded_in_time_and_bytes() -> None:
    (queue,) = orjson.loads(DEFINITIONS.read_bytes())["queues"]
    assert queue["name"] == STREAM
    assert {"x-max-age", "x-max-length-bytes"} < set(queue["arguments"])
