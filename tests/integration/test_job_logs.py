"""What a handler logs for its client, over real processes: read while it runs, and kept with the job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import KINDS, JobClient
from tests.support.stack import Stack, stack_on_empty_servers


async def log_of(client: httpx2.AsyncClient, url: str) -> list[dict[str, Any]]:
    """The lines that a client reads."""
    answer = await client.get(f"{url}/logs")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["lines"])


@pytest.fixture(scope="module")
def shared_stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start an api, and a consumer with our kinds, for this module."""
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("stack"), handlers=KINDS) as running:
        asyncio.run(running.start())
        yield running


async def test_a_log_is_read_while_the_job_runs_and_goes_with_it(shared_stack: Stack, tmp_path: Path) -> None:
    async with shared_stack.client() as client:
        job = JobClient(client, "own.tells", tmp_path)
        await job.begin()
        while not (lines := await log_of(client, job.url)):  # noqa: ASYNC110  nothing tells without a stream
            await asyncio.sleep(0.05)
        assert [line["message"] for line in lines] == ["begun"]
        assert (lines[0]["level"], lines[0]["attempt"]) == ("info", 1)
        assert lines[0]["fields"] == {"number": 0, "password": "***"}
        job.gate.touch()
        job_id = (await job.until_ended())["id"]
        kept = await log_of(client, job.url)
        assert [(line["level"], line["message"]) for line in kept] == [("info", "begun"), ("warning", "done")]
        assert kept[0] == lines[0]
        rows = "select count(*) from logs where job_id = $1::text::uuid"
        assert await shared_stack.count(rows, job_id) == 1
        assert (await client.delete(job.url)).status_code == 204
        assert (await client.get(f"{job.url}/logs")).status_code == 404
        assert await shared_stack.count(rows, job_id) == 0


async def test_without_redis_a_log_is_there_when_the_attempt_has_ended(
    shared_stack: Stack, tmp_path: Path
) -> None:
    redis = shared_stack.servers.redis
    async with shared_stack.client() as client:
        redis.kill()
        try:
            job = JobClient(client, "own.tells", tmp_path)
            await job.begin()
            job.gate.touch()
            await job.until_ended()
            assert [line["message"] for line in await log_of(client, job.url)] == ["begun", "done"]
        finally:
            shared_stack.servers.up(redis)
