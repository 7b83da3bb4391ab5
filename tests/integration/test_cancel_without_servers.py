"""Cancel while there is no consumer, and while there is no Redis."""

from __future__ import annotations

import asyncio
from pathlib import Path

from infra.local.servers import Servers
from tests.support.job_client import KINDS, JobClient
from tests.support.stack import Stack


async def test_what_is_queued_is_cancelled_at_once_and_never_runs(servers: Servers, tmp_path: Path) -> None:
    stack = Stack(servers, tmp_path, handlers=KINDS)
    try:
        await stack.start(consumers=0)
        async with stack.client() as client:
            work, other = JobClient(client, "own.loop", tmp_path), JobClient(client, "own.loop", tmp_path)
            job = await work.submit()
            cancelled = await client.post(job["links"]["cancel"])
            await stack.add_consumer().ready()
            work.gate.touch()
            await other.submit()
            await other.until_ended()  # it was queued behind the cancelled one
            assert (await client.get(work.url)).content == cancelled.content
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert len(work.mark.read_text().splitlines()) == 1
    finally:
        stack.stop()


async def test_without_redis_the_heartbeat_brings_the_cancel(servers: Servers, tmp_path: Path) -> None:
    stack = Stack(servers, tmp_path, handlers=KINDS)
    try:
        await stack.start()
        async with stack.client() as client:
            work = JobClient(client, "own.loop", tmp_path)
            await work.begin()
            await asyncio.to_thread(servers.redis.kill)
            assert (await client.post(f"{work.url}/cancel")).status_code == 202
            assert (await work.until_ended())["state"] == "cancelled"
    finally:
        stack.stop()
