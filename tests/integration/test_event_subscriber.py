"""The subscriber that docs/events.md shows, as it stands there, hears of a failure once."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import aio_pika

from infra.local.servers import Servers
from sluice.adapters.rabbitmq import EventBroker
from sluice.core.job_event import describe
from sluice.core.runtime.telemetry import Telemetry
from tests.support.make_jobs import finished_job
from tests.support.waiting import until

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
ERROR = b'{"type":"handler-error","title":"x","retryable":true,"attempt":1,"fingerprint":"0123456789abcdef"}'


def program() -> str:
    """The first program of the page."""
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


async def test_it_prints_each_failure_once(shared_servers: Servers) -> None:
    rabbitmq = shared_servers.rabbitmq
    shared_servers.up(rabbitmq)
    failed = finished_job(state="failed", result=None, error=ERROR)
    last = finished_job(state="failed", result=None, error=ERROR)
    url = rabbitmq.url
    queue = "sluice.test-failures"  # what a user of these servers may declare
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program(), env={**os.environ, "AMQP_URL": url, "QUEUE": queue},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    broker = EventBroker(url, "tests", Telemetry(), budget_s=5)
    try:
        assert process.stdout
        assert process.stderr
        assert await process.stderr.readline() == b"listening\n"
        await broker.start()
        await until(lambda: broker.connected)
        for job in (failed, finished_job(), failed, last):
            await broker.publish(describe(job))
        lines = [(await process.stdout.readline()).decode() for _ in range(2)]
    finally:
        process.kill()
        await process.wait()
        await broker.close()
        async with await aio_pika.connect(url) as connection:
            await (await connection.channel()).queue_delete(queue)
    assert lines == [f"{job.id} demo.sum handler-error\n" for job in (failed, last)]
