"""A program that hears of a tenant's jobs from RabbitMQ, whatever happens to that: it comes back, and declares its queue again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
import orjson

from sluice.core.job_event import EXCHANGE
from sluice.core.runtime.tasks import cancel_and_wait
from tests.fault.chaos.told_checker import HeardEvent

QUEUE = "sluice.test-told"
DURABLE: Mapping[str, Any] = {"x-queue-type": "quorum"}
CALL_S = 5.0
AGAIN_S = 0.3
FIRST_S = 60.0
LOOK_S = 1.0
BEFORE_S = 15.0
"""Seconds before RabbitMQ lost its queues in which jobs may have ended that were told only then."""


class ToldSubscriber:
    """`heard` has every event in the order in which it came."""

    def __init__(self, url: str, tenant: str) -> None:
        self._url, self._binding = url, f"job.*.{tenant}.#"
        self._listening_at: list[float] = []
        self._listens = asyncio.Event()
        self.heard: list[HeardEvent] = []

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(Exception):  # whatever was done to RabbitMQ, it comes back
                await self._listen()
            await asyncio.sleep(AGAIN_S)

    async def until_listening(self) -> None:
        """Return once the queue is there. Raises TimeoutError."""
        async with asyncio.timeout(FIRST_S):
            await self._listens.wait()

    async def forget(self) -> None:
        """Delete the queue, if RabbitMQ is there."""
        with suppress(Exception):
            async with asyncio.timeout(CALL_S), await aio_pika.connect(self._url) as connection:
                await (await connection.channel()).queue_delete(QUEUE)

    def gap(self, began: float, ended: float) -> tuple[float, float]:
        """Return when what ended may not be heard, if RabbitMQ lost its queues in this time."""
        return began - BEFORE_S, min((at for at in self._listening_at if at > ended), default=time.time())

    async def _listen(self) -> None:
        async with asyncio.timeout(CALL_S):
            connection = await aio_pika.connect(self._url)
        try:
            async with asyncio.timeout(CALL_S):
                channel = await connection.channel()
                await (await self._declare(channel)).consume(self._hear)
            while True:
                self._listening_at.append(time.time())
                self._listens.set()
                await asyncio.sleep(LOOK_S)
                async with asyncio.timeout(CALL_S):
                    await self._declare(channel)
        finally:
            with suppress(Exception):
                async with asyncio.timeout(CALL_S):
                    await connection.close()

    async def _declare(self, channel: aio_pika.abc.AbstractChannel) -> aio_pika.abc.AbstractQueue:
        await channel.declare_exchange(EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True, arguments={**DURABLE})
        await queue.bind(EXCHANGE, self._binding)
        return queue

    async def _hear(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        told = {name: str(message.headers[f"cloudEvents_{name}"]) for name in ("subject", "id", "sequence")}
        state = orjson.loads(message.body)["state"]
        self.heard.append(HeardEvent(told["subject"], told["id"], state, told["sequence"]))
        with suppress(Exception):  # then it comes once more
            await message.ack()


@asynccontextmanager
async def subscribed(url: str, tenant: str) -> AsyncIterator[ToldSubscriber]:
    """Listen to the events of a tenant for the block."""
    subscriber = ToldSubscriber(url, tenant)
    listening = asyncio.create_task(subscriber.run(), name="told subscriber")
    try:
        await subscriber.until_listening()
        yield subscriber
    finally:
        await cancel_and_wait({listening})
        await subscriber.forget()
