"""Another program that hears of jobs from RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import orjson

from sluice.core.job_event import EXCHANGE
from tests.support.waiting import until


class Subscriber:
    """Keeps every event that it hears."""

    def __init__(self) -> None:
        self.heard: list[aio_pika.abc.AbstractIncomingMessage] = []

    async def deliver(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        """Keep an event."""
        self.heard.append(message)
        await message.ack()

    def states(self, job_id: str) -> list[str]:
        """The states of a job of which it has heard."""
        return [orjson.loads(each.body)["state"] for each in self.heard if subject(each) == job_id]

    async def until_heard(self, job_id: str, state: str) -> None:
        """Wait until it has heard that the job is in this state."""
        await until(lambda: state in self.states(job_id))


def subject(message: aio_pika.abc.AbstractIncomingMessage) -> object:
    """The job of which an event tells."""
    return message.headers["cloudEvents_subject"]


@asynccontextmanager
async def subscribed(url: str, binding: str = "job.#") -> AsyncIterator[Subscriber]:
    """Subscribe for the block."""
    subscriber = Subscriber()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_exchange(EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue("sluice.test-subscriber", exclusive=True)
        await queue.bind(EXCHANGE, binding)
        await queue.consume(subscriber.deliver)
        yield subscriber
