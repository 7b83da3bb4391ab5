"""The job service that the bench compares with does the same work: comparing with a broken one would flatter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from infra.local.ports import free_port
from infra.local.servers import Servers
from loadtests.bench.product import JobCounter, running
from tests.support.servers import sql_session
from tests.support.waiting import answers, until_found

DEADLINE_S = 30


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[tuple[str, JobCounter]]:
    """Start its api and its worker; drop afterwards what they made in the database."""
    api, worker = free_port(), free_port()
    urls = {"BASELINE_POSTGRES_URL": servers.postgres.url, "BASELINE_RABBITMQ_URL": servers.rabbitmq.url}
    names: dict[str, Any] = {"env": os.environ | urls}
    with running("loadtests.baseline", "api", str(api), **names):
        await listening(f"http://127.0.0.1:{api}/openapi.json")
        with running("loadtests.baseline", "worker", str(worker), **names):
            metrics = f"http://127.0.0.1:{worker}/metrics"
            await listening(metrics)
            yield f"http://127.0.0.1:{api}", JobCounter(metrics, "baseline_jobs_succeeded_total")
    async with sql_session(servers.postgres.url) as sql:
        await sql.execute("drop table baseline_jobs")


async def listening(url: str) -> None:
    """Return once something answers there."""
    async with httpx2.AsyncClient() as client:
        await until_found(lambda: answers(client, url))


async def test_each_job_is_run_once_and_its_result_can_be_looked_up(service: tuple[str, JobCounter]) -> None:
    url, counter = service
    async with httpx2.AsyncClient(base_url=url) as client:
        bodies = [{"kind": "demo.sum", "input": {"values": [number, 1]}} for number in range(20)]
        answers = await asyncio.gather(*(client.post("/jobs", json=body) for body in bodies))
        await asyncio.to_thread(counter.await_finished, 20, DEADLINE_S)
        found = [(await client.get(f"/jobs/{answer.json()['id']}")).json() for answer in answers]

    assert [answer.status_code for answer in answers] == [202] * 20
    assert [job["state"] for job in found] == ["succeeded"] * 20
    assert [job["result"] for job in found] == [{"total": number + 1} for number in range(20)]
    assert counter.finished() == 20
