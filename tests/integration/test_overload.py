"""PostgreSQL is slow, and more comes than it takes: what is new is refused at once, what is known is answered as ever, and nothing
that was accepted is lost. Nothing here depends on how fast the machine is: what is held back stays so until all others are answered.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from sluice.core.runtime.batching import Limits
from sluice.core.runtime.settings import Settings
from tests.support.job_client import KINDS, SUM, WAIT, until_ended
from tests.support.proxy import BOTH, NORMAL, Behaviour, Proxies, Proxy
from tests.support.servers import proxied_urls
from tests.support.stack import NO_TLS, Stack, stack_on_empty_servers
from tests.support.waiting import until_found

SLOW = Behaviour(silent=BOTH)
"""What is sent arrives once all others have been answered."""
PATIENCE: dict[str, object] = {"record_budget_s": 40, "accept_budget_s": 40, "memory_s": 600}
"""It is slow, and never away; what is known stays known."""
SHED_AFTER_S: float = Settings.model_fields["shed_after_s"].default
PURE: dict[str, Any] = {"kind": "own.pure", "input": {"number": 1}}
WAVES, WAVE = 2, 10
PADDING = [10**11] * 9_000
"""An input of 117 KB: few of them fill a batch."""
FILL = ceil(Limits().size / (len(PADDING) * len("100000000000,")))
"""So many wait as a whole batch."""


@pytest.fixture
def slow_record(servers: Servers, tmp_path: Path) -> Iterator[tuple[Stack, Proxy]]:
    """Start an api that reaches PostgreSQL through a proxy, with the product's own bound, and a consumer that is not slow."""
    proxies = Proxies()
    with stack_on_empty_servers(servers, tmp_path, handlers=KINDS) as stack:
        proxy = proxies.add(servers.postgres.port)
        addresses = proxied_urls(servers, {"postgres": proxy.port})
        stack.add_api(**addresses, **PATIENCE, shed_after_s=SHED_AFTER_S)
        asyncio.run(stack.start(apis=0))
        yield stack, proxy
    proxies.close()


class Load:
    """What clients submitted: `accepted` are the ids that were answered with 202, `refused` how many were refused."""

    def __init__(self, stack: Stack, client: httpx2.AsyncClient) -> None:
        self.stack, self.client = stack, client
        self.accepted: list[str] = []
        self.refused = 0
        self._number = 0

    async def submit(self) -> bool:
        """Submit work that nobody has done; true if it was accepted, and otherwise it was refused as it must be."""
        self._number += 1
        body = SUM | {"input": {"values": [self._number, *PADDING]}}
        answer = await self.client.post("/v1/jobs", json=body)
        if answer.status_code == 202:
            self.accepted.append(answer.json()["id"])
            return True
        assert (answer.status_code, answer.json()["type"]) == (503, "overloaded"), answer.text
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        self.refused += 1
        return False

    async def wave(self, known: dict[str, Any], proxy: Proxy) -> None:
        """Submit, poll and ask for what is known while a batch waits for a commit; all is answered before that commit is."""
        await asyncio.to_thread(proxy.behave, SLOW)
        flown = await self._flights()
        first = asyncio.create_task(self.submit())
        await until_found(lambda: self._has_flown(flown))
        # Behind one slow commit nothing is refused, however long it takes.
        taken = [asyncio.create_task(self.submit()) for _ in range(FILL)]
        await until_found(self._a_batch_waits)
        refused = asyncio.gather(*(self.submit() for _ in range(WAVE)))
        polls = asyncio.gather(*(self.client.get(known["links"]["self"]) for _ in range(WAVE)))
        same = asyncio.gather(*(self.client.post("/v1/jobs", json=PURE) for _ in range(WAVE)))
        batch = await self.client.post("/v1/batches", json={"jobs": [SUM]})
        assert not any(await refused)
        assert {each.status_code for each in await polls} == {200}
        told = await same
        assert {each.status_code for each in told} == {200}, told[0].text
        assert {each.json()["id"] for each in told} == {known["id"]}
        assert (batch.status_code, batch.json()["type"]) == (503, "overloaded")
        held = (await self.stack.apis[0].metrics())["sluice_held_body_bytes"]
        assert held < (FILL + 3) * len(PADDING) * len("100000000000,"), "nothing of what is refused is kept"
        assert not any(each.done() for each in (first, *taken)), "who is refused does not wait for the commit"
        await asyncio.to_thread(proxy.behave, NORMAL)
        assert all(await asyncio.gather(first, *taken))

    async def _flights(self) -> float:
        """Count the commits that have begun."""
        async with httpx2.AsyncClient(verify=NO_TLS) as client:
            text = (await client.get(f"{self.stack.apis[0].private_url}/metrics")).text
        found = re.search(r'^sluice_batch_items_count\{flight="accept"\} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def _has_flown(self, before: float) -> bool:
        return await self._flights() > before

    async def _a_batch_waits(self) -> bool:
        return (await self.stack.apis[0].metrics())["sluice_commit_wait_seconds"] > SHED_AFTER_S


async def test_a_slow_record_sheds_what_is_new_and_nothing_else(slow_record: tuple[Stack, Proxy]) -> None:
    stack, proxy = slow_record
    async with stack.client(limits=httpx2.Limits(max_connections=None)) as client:
        known = (await client.post("/v1/jobs", json=PURE, headers=WAIT)).json()
        known = await until_ended(client, known["links"]["self"])
        assert (await client.post("/v1/jobs", json=PURE)).json()["id"] == known["id"]
        load = Load(stack, client)
        assert await load.submit(), "nothing is refused while nothing is slow"
        for _ in range(WAVES):
            await load.wave(known, proxy)
        assert await load.submit(), "and all is as before"
        assert load.refused == WAVES * WAVE
        metrics = await stack.apis[0].metrics()
        assert metrics["sluice_jobs_shed_total"] == load.refused + WAVES
        assert (await client.get("/v1/slo")).json()["shedding"]
        await stack.finished(load.accepted)
        assert await stack.count("select count(*) from jobs") == len(load.accepted) + 1
