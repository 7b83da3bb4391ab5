"""What the keeper tidies and counts, as clients and operators see it, on real processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import KINDS, WAIT, JobClient, ended
from tests.support.make_jobs import aged_id
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import answers, until_found

LANES = '{"default":{"slots":2,"ids_per_message":2},"heavy":{"slots":1,"ids_per_message":1}}'
KEEP_S = 5
NAP = {"kind": "demo.sleep", "input": {"seconds": 2}}
NOBODY = f"/v1/jobs/{aged_id(60)}"


@pytest.fixture
async def tidy(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """Two apis and two consumers of two slots each, that keep what is finished for seconds."""
    settings = {"handlers": f"sluice.kinds.demo_sleep,{KINDS}", "keep_s": KEEP_S, "idempotency_keep_s": 600}
    with Stack(servers, tmp_path, lanes=LANES, **settings) as running:
        await running.start(apis=2, consumers=2)
        yield running


async def test_a_pruned_job_has_expired_for_everybody_and_so_has_its_key(tidy: Stack) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"kind": "own.loop", "input": {}}
    foreign = await make_a_key(tidy.servers, "other", ["read"])
    async with (
        tidy.client() as client,
        tidy.client(api=tidy.apis[1]) as other,
        tidy.client(key=foreign) as stranger,
    ):
        url = (await client.post("/v1/jobs", json=body, headers=key)).json()["links"]["self"]
        await ended(client, url)
        for each in (client, other):  # now both have it in memory
            assert (await each.get(url)).status_code == 200
        for each in (client, other):
            await until_found(partial(answers, each, url, 410))
        seen = [await each.get(url) for each in (client, other, stranger)]
        seen += [await client.get(NOBODY), await client.post(f"{url}/cancel"), await client.delete(url)]
        again = await client.post("/v1/jobs", json=body, headers=key)
        young = await client.get(f"/v1/jobs/{aged_id(0)}")
        figures = [await each.metrics() for each in tidy.consumers]
    assert {(each.status_code, each.json()["type"]) for each in [*seen, again]} == {(410, "job-expired")}
    assert (young.status_code, young.json()["type"]) == (404, "job-unknown")
    assert sum(each["sluice_jobs_pruned_total"] for each in figures) == 1


async def test_who_has_to_wait_for_long_is_told_to_ask_later_and_operators_see_why(
    tidy: Stack, tmp_path: Path
) -> None:
    async with tidy.client() as client:
        quick = await client.post("/v1/jobs", json={"kind": "own.loop", "input": {}})
        assert int(quick.headers["retry-after"]) in (1, 2)
        naps = [client.post("/v1/jobs", json=NAP, headers=WAIT) for _ in range(4)]
        assert {answer.json()["state"] for answer in await asyncio.gather(*naps)} == {"succeeded"}
        work = JobClient(client, "own.loop", tmp_path)
        for _ in range(60):
            await work.submit()
        last = work.url
        await until_found(lambda: told_at_least(client, last, 10))
        later = (await work.submit(delay_s=25))["links"]["self"]
        await until_found(lambda: told_at_least(client, later, 15))
        answer = await client.get(last)
        assert (answer.json()["state"], int(answer.headers["retry-after"]) <= 30) == ("queued", True)
        async with httpx2.AsyncClient() as operator:
            figures = (await operator.get(f"{tidy.consumers[0].private_url}/metrics")).text
        work.gate.touch()
    shown = dict(line.rsplit(" ", 1) for line in figures.splitlines() if line.startswith("sluice_"))
    assert float(shown['sluice_queued_jobs{lane="default"}']) > 40
    assert float(shown['sluice_running_jobs{lane="default"}']) == 4
    assert float(shown['sluice_oldest_queued_seconds{lane="default"}']) > 0
    assert float(shown['sluice_queued_jobs{lane="heavy"}']) == 0
    assert "sluice_oldest_undispatched_seconds" in shown


async def told_at_least(client: httpx2.AsyncClient, url: str, seconds: int) -> bool:
    """Whether those who ask for this job are told to come back in so many seconds or more."""
    return int((await client.get(url)).headers["retry-after"]) >= seconds


async def test_while_one_consumer_is_frozen_the_other_keeps_everything(tidy: Stack) -> None:
    async with tidy.client() as client:
        old = (await client.post("/v1/jobs", json={"kind": "own.loop", "input": {}})).json()["links"]["self"]
        await ended(client, old)
        frozen = tidy.consumers[0]
        frozen.signal(signal.SIGSTOP)
        try:
            options = [{"delay_s": 0.5}, {"delay_s": 60, "deadline_s": 0.5}]
            urls = [
                (
                    await client.post("/v1/jobs", json={"kind": "own.loop", "input": {}, "options": each})
                ).json()["links"]["self"]
                for each in options
            ]
            delayed, overdue = await asyncio.gather(*(ended(client, url) for url in urls))
            await until_found(lambda: answers(client, old, 410))
        finally:
            frozen.signal(signal.SIGCONT)
    assert delayed["state"] == "succeeded"
    assert (overdue["state"], overdue["error"]["type"]) == ("failed", "deadline-passed")
