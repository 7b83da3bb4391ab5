"""The baseline's worker: claim, run, store and acknowledge, each message on its own."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import asyncpg
from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import Counter, start_http_server

from loadtests.baseline import jobs

SUCCEEDED = "baseline_jobs_succeeded"


class Worker:
    """Runs what the queue delivers, as many at once as the prefetch allows."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], succeeded: Counter) -> None:
        self._pool, self._succeeded = pool, succeeded

    async def handle(self, message: AbstractIncomingMessage) -> None:
        """Run one job; its message is delivered again if this raises."""
        async with message.process(requeue=True):
            job_id = UUID(bytes=message.body)
            given = await self._pool.fetchval(jobs.START, job_id)
            if given is not None:
                result = {"total": sum(json.loads(given)["values"])}
                await self._pool.execute(jobs.FINISH, job_id, json.dumps(result))
                self._succeeded.inc()


async def work(metrics_port: int) -> None:
    """Consume until cancelled."""
    counter = Counter(SUCCEEDED, "Jobs whose result is stored")
    start_http_server(metrics_port, "127.0.0.1")
    async with await jobs.connect() as connection, await jobs.open_pool() as pool:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=jobs.PREFETCH)
        queue = await jobs.declare(channel)
        await queue.consume(Worker(pool, counter).handle)
        await asyncio.Future()
