"""An operator's limits of what waits of all tenants and of what is kept for one hold against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import SUM
from tests.support.stack import NO_TLS, Stack, stack_on_empty_servers
from tests.support.waiting import until_found

LONG: dict[str, Any] = {"kind": "demo.sum", "input": {"values": [10**11] * 9_000}}
"""A job of 117 KB."""


@pytest.fixture
def stack(servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Run an api and a consumer that count often."""
    limits: dict[str, object] = {"backlog": 10, "backlog_mib": 64, "tenant_storage_mib": 1}
    with stack_on_empty_servers(servers, tmp_path, **limits) as stack:
        asyncio.run(stack.start())
        yield stack


class Submits:
    """Jobs of one client, submitted until one is refused."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client, self.accepted = client, 0
        self.last = httpx2.Response(202)

    async def refused(self, job: dict[str, Any]) -> bool:
        """Submit one more."""
        self.last = await self.client.post("/v1/jobs", json=job)
        self.accepted += self.last.status_code == 202
        return self.last.status_code != 202

    async def taken(self, job: dict[str, Any]) -> bool:
        """Submit one more."""
        return not await self.refused(job)

    def refusal(self) -> tuple[int, str]:
        """Return what the last answer says."""
        assert 1 <= int(self.last.headers["retry-after"]) <= 60
        return self.last.status_code, self.last.json()["type"]


async def notes(stack: Stack) -> dict[str, Any]:
    """Return what `/check` of the api says."""
    async with httpx2.AsyncClient(verify=NO_TLS) as client:
        return dict((await client.get(f"{stack.apis[0].private_url}/check")).json())


async def test_what_waits_and_what_is_kept_is_bounded(stack: Stack) -> None:
    async with stack.client() as client:
        submits = Submits(client)
        paused = await client.post("/v1/lanes/default/pause", json={"reason": "a test"})
        assert paused.status_code == 200, paused.text
        await until_found(lambda: submits.refused(SUM))
        assert submits.refusal() == (503, "backlog-full")
        assert submits.accepted >= 10
        assert (await notes(stack))["backlog"].endswith("of 10 jobs, 0 of 64 MiB; new jobs are refused")
        await client.post("/v1/lanes/default/resume")
        await until_found(lambda: submits.taken(SUM))
        submits.accepted = 0
        await until_found(lambda: _refused_for_storage(submits))
        assert submits.accepted >= 8, "eight of them are less than a MiB"
        assert (await notes(stack))["storage"] == "tenants with 1 MiB or more: 1"
        assert (await stack.apis[0].metrics())["sluice_full_tenants"] == 1


async def _refused_for_storage(submits: Submits) -> bool:
    return await submits.refused(LONG) and submits.refusal() == (429, "tenant-storage-full")
