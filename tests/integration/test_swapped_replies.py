"""Redis' replies get to the wrong client: nobody sees a job of another, and what was mixed up is counted."""

from __future__ import annotations

import asyncio
from itertools import cycle
from pathlib import Path

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import WAIT
from tests.support.servers import proxied_urls
from tests.support.stack import Stack, make_a_key
from tests.support.swapping_proxy import SwappingProxy

TENANTS = ("one", "two")
ROUNDS, JOBS = 15, 8


class Tenant:
    """A tenant, clients of its at both apis, and its jobs with what each was given."""

    def __init__(self, name: str, clients: list[httpx2.AsyncClient]) -> None:
        self.name, self.clients = name, clients
        self.jobs: dict[str, int] = {}

    async def work(self, first: int) -> None:
        """Run its jobs to their ends, each with a number that no other has."""
        for number in range(first, first + JOBS):
            body = {"kind": "own.loop", "input": {"number": number}}
            job = (await self.clients[0].post("/v1/jobs", json=body, headers=WAIT)).json()
            assert job["result"] == {"number": number}
            self.jobs[job["id"]] = number

    async def look(self, client: httpx2.AsyncClient, job_id: str) -> None:
        """Look a job up, alone and by its result."""
        shown, result = await asyncio.gather(
            client.get(f"/v1/jobs/{job_id}"), client.get(f"/v1/jobs/{job_id}/result")
        )
        assert (shown.status_code, result.status_code) == (200, 200), (shown.text, result.text)
        assert (shown.json()["id"], shown.json()["result"]) == (job_id, {"number": self.jobs[job_id]})
        assert result.json() == {"number": self.jobs[job_id]}


@pytest.mark.parametrize("kinds", [b"*", b"*:$+_"], ids=["lists", "any"])
async def test_no_tenant_sees_a_document_of_another_although_replies_of_redis_are_exchanged(
    servers: Servers, tmp_path: Path, kinds: bytes
) -> None:
    async with SwappingProxy.running(servers.redis.port) as proxy:
        settings = proxied_urls(servers, {"redis": proxy.port})
        with Stack(servers, tmp_path, handlers="tests.integration.kinds", memory_mib=0, **settings) as stack:
            await stack.start(apis=2)
            tenants = [await tenant_of(stack, name) for name in TENANTS]
            await asyncio.gather(*(each.work(100 * place) for place, each in enumerate(tenants, 1)))
            proxy.kinds = kinds
            for _ in range(ROUNDS):
                await asyncio.gather(
                    *(
                        each.look(client, job_id)
                        for each in tenants
                        for client, job_id in zip(cycle(each.clients), each.jobs, strict=False)
                    )
                )
            proxy.kinds = b""
            metrics = [await api.metrics() for api in stack.apis]
            log = "".join(api.log.read_text() for api in stack.apis)
            for each in tenants:
                await asyncio.gather(*(client.aclose() for client in each.clients))
    assert proxy.swapped > 0
    assert sum(each["sluice_cache_identity_mismatch_total"] for each in metrics) > 0
    assert "unforeseen" not in log
    assert "Traceback" not in log


async def tenant_of(stack: Stack, name: str) -> Tenant:
    """Make a tenant with a client at each api."""
    key = await make_a_key(stack.servers, name, ["submit", "read", "payloads"])
    return Tenant(name, [stack.client(key, api) for api in stack.apis])
