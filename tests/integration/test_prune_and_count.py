"""What the keeper deletes and counts, as clients and operators see it, on real processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import KINDS, WAIT, JobClient, until_ended
from tests.support.make_jobs import aged_id
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import answers, until_found

LANES = '{"default":{"slots":2,"ids_per_message":2},"heavy":{"slots":1,"ids_per_message":1}}'
KEEP_S = 5
NAP = {"kind": "demo.sleep", "input": {"seconds": 2}}
NOBODY = f"/v1/jobs/{aged_id(60)}"


@pytest.fixture
async def pruning_stack(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """Start two apis and two consumers of two slots each that keep finished jobs for seconds."""
    settings = {"handlers": f"sluice.kinds.demo_sleep,{KINDS}", "keep_s": KEEP_S, "idempotency_keep_s": 600}
    with Stack(servers, tmp_path, lanes=LANES, **settings) as running:
        await running.start(apis=2, consumers=2)
        yield running


async def test_a_pruned_job_has_expired_for_everybody_and_so_has_its_key(pruning_stack: Stack) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"kind": "own.loop", "input": {}}
    foreign = await make_a_key(pruning_stack.servers, "other", ["read", "payloads"])
    async with (
        pruning_stack.client() as client,
        pruning_stack.client(api=pruning_stack.apis[1]) as other,
        pruning_stack.client(key=foreign) as stranger,
    ):
        url = (await client.post("/v1/jobs", json=body, headers=key)).json()["links"]["self"]
        await until_ended(client, url)
        for each in (client, other):  # now both have it in memory
            assert (await each.get(url)).status_code == 200
        for each in (client, other):
            await until_found(partial(answers, each, url, 410))
        seen = [await each.get(url) for each in (client, other, stranger)]
        seen += [await client.get(NOBODY), await client.post(f"{url}/cancel"), await client.delete(url)]
        again = await client.post("/v1/jobs", json=body, headers=key)
        young = await client.get(f"/v1/jobs/{aged_id(0)}")
        figures = [await each.metrics() for each in pruning_stack.consumers]
    assert {(each.status_code, each.json()["type"]) for each in [*seen, again]} == {(410, "job-expired")}
    assert (young.status_code, young.json()["type"]) == (404, "job-unknown")
    assert sum(each["sluice_jobs_pruned_total"] for each in figures) == 1


async def test_clients_of_a_long_queue_are_told_to_come_back_later_and_operators_see_why(
    pruning_stack: Stack, tmp_path: Path
) -> None:
    async with pruning_stack.client() as client:
        quick = await client.post("/v1/jobs", json={"kind": "own.loop", "input": {}})
        assert int(quick.headers["retry-after"]) in (1, 2)
        naps = [client.post("/v1/jobs", json=NAP, headers=WAIT) for _ in range(4)]
        assert {answer.json()["state"] for answer in await asyncio.gather(*naps)} == {"succeeded"}
        work = JobClient(client, "own.loop", tmp_path)
        for _ in range(60):
            await work.submit()
        last = work.url
        await until_found(lambda: is_told_to_wait(client, last, 10))
        later = (await work.submit(delay_s=25))["links"]["self"]
        await until_found(lambda: is_told_to_wait(client, later, 15))
        answer = await client.get(last)
        assert (answer.json()["state"], int(answer.headers["retry-after"]) <= 30) == ("queued", True)
        await until_found(lambda: all_are_counted(pruning_stack))
        shown = await figures(pruning_stack)
        work.gate.touch()
    assert float(shown['sluice_running_jobs{lane="default"}']) == 4
    assert float(shown['sluice_oldest_queued_seconds{lane="default"}']) > 0
    assert float(shown['sluice_queued_jobs{lane="heavy"}']) == 0
    assert "sluice_oldest_undispatched_seconds" in shown


async def figures(stack: Stack) -> dict[str, str]:
    """Return the figures that the consumer shows."""
    async with httpx2.AsyncClient() as operator:
        text = (await operator.get(f"{stack.consumers[0].private_url}/metrics")).text
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("sluice_"))


async def all_are_counted(stack: Stack) -> bool:
    return float((await figures(stack))['sluice_queued_jobs{lane="default"}']) > 40


async def is_told_to_wait(client: httpx2.AsyncClient, url: str, seconds: int) -> bool:
    """Tell whether the answer asks to come back in so many seconds or more."""
    return int((await client.get(url)).headers["retry-after"]) >= seconds


async def test_while_one_consumer_is_frozen_the_other_keeps_everything(pruning_stack: Stack) -> None:
    async with pruning_stack.client() as client:
        old = (await client.post("/v1/jobs", json={"kind": "own.loop", "input": {}})).json()["links"]["self"]
        await until_ended(client, old)
        frozen = pruning_stack.consumers[0]
        frozen.signal(signal.SIGSTOP)
        try:
            options = [{"delay_s": 0.5}, {"delay_s": 60, "deadline_s": 90}]
            urls = [
                (
                    await client.post("/v1/jobs", json={"kind": "own.loop", "input": {}, "options": each})
                ).json()["links"]["self"]
                for each in options
            ]
            async with pruning_stack.sql() as sql:
                await sql.execute("UPDATE jobs SET deadline = now() WHERE deadline IS NOT NULL")
            delayed, overdue = await asyncio.gather(*(until_ended(client, url) for url in urls))
            await until_found(lambda: answers(client, old, 410))
        finally:
            frozen.signal(signal.SIGCONT)
    assert delayed["state"] == "succeeded"
    assert (overdue["state"], overdue["error"]["type"]) == ("failed", "deadline-passed")
