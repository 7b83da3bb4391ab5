"""Ask a running stack why a job is not done, from its submit to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from infra.local.servers import Servers
from tests.support.job_client import KINDS, JobClient
from tests.support.stack import Stack
from tests.support.waiting import until_found

LANES = '{"default":{"slots":1,"ids_per_message":1},"heavy":{"slots":1,"ids_per_message":1}}'


async def explain(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    """Return what is said of a job."""
    answer = await client.get(f"{url}/explain")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_job_says_at_every_step_why_it_is_not_done(servers: Servers, tmp_path: Path) -> None:
    with Stack(servers, tmp_path, lanes=LANES, handlers=KINDS) as stack:
        await stack.start(consumers=0)
        async with stack.client() as client:
            first, second = JobClient(client, "own.loop", tmp_path), JobClient(client, "own.loop", tmp_path)
            await first.submit()
            assert (await explain(client, first.url))["reason"] == "no-consumer"
            stack.add_consumer()
            await stack.consumers[0].ready()
            await until_found(lambda: says(client, first.url, "running"))
            await second.submit()
            waits = await explain(client, second.url)
            assert (waits["reason"], waits["position"], waits["state"]) == ("queued-behind", 1, "queued")
            await client.post("/v1/lanes/default/pause", json={"reason": "the disk is full"})
            paused = await explain(client, second.url)
            assert paused["reason"] == "lane-paused"
            assert "the disk is full" in paused["detail"]
            first.gate.touch()
            await first.until_ended()
            assert (await explain(client, first.url))["reason"] == "finished"
            await client.post("/v1/lanes/default/resume")
            await second.until_ended()
            told = [each["what"] for each in (await explain(client, second.url))["timeline"]]
            assert told == ["accepted", "queued", "started", "finished"]


async def says(client: httpx2.AsyncClient, url: str, reason: str) -> bool:
    """Tell whether this is what is said of a job by now."""
    return bool((await explain(client, url))["reason"] == reason)
