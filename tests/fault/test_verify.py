"""Verification of a live system: under load and through deaths nothing is reported that is not so."""

from __future__ import annotations

import asyncio
import re

import httpx2

from sluice.adapters.postgres.verifier import PostgresVerifier, load_checks
from sluice.core.ports import Finding
from tests.support.load import Load
from tests.support.servers import settings_for
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

LOOKS = 6
ROW = re.compile(r'^sluice_invariant_violations\{check="(\w+)"\} (\S+)$', re.MULTILINE)


async def violations(consumer: Process) -> dict[str, float]:
    """Return the offenders by check, as Prometheus would see them."""
    async with httpx2.AsyncClient() as client:
        text = (await client.get(f"{consumer.private_url}/metrics")).text
    return {check: float(value) for check, value in ROW.findall(text)}


async def test_nothing_is_wrong_under_load_when_jobs_are_cancelled_and_a_consumer_dies(
    bare_stack: Stack,
) -> None:
    bare_stack._settings |= {"verify_s": 0.2}
    await bare_stack.start(consumers=2)
    verifier = PostgresVerifier(bare_stack.servers.postgres.url, settings_for(bare_stack.servers))
    load, wrong = Load(bare_stack), []
    async with load.running(clients=8), bare_stack.client() as client:
        for look in range(LOOKS):
            nap = {"kind": "demo.sleep", "input": {"seconds": 30}}
            job = (await client.post("/v1/jobs", json=nap, headers={"Idempotency-Key": str(look)})).json()
            await load.more(20)
            await client.post(f"{job['links']['self']}/cancel")
            if look == LOOKS // 2:
                bare_stack.consumers[0].kill()
            wrong += [found for found in await verifier.verify(None, 30) if found.offenders]
    assert wrong == []
    await load.check()
    shown = await all_violations(bare_stack.consumers[1])
    assert shown == dict.fromkeys(load_checks(), 0.0)
    assert "invariants_violated" not in bare_stack.consumers[1].log.read_text()
    assert [found for found in await verifier.verify(None, 30) if found != Finding(found.check, 0)] == []


async def all_violations(consumer: Process) -> dict[str, float]:
    """Return its violations, once it has looked."""
    async with asyncio.timeout(60):
        await until_found(lambda: violations(consumer))
    return await violations(consumer)


async def test_what_is_wrong_is_in_the_figures_and_in_the_log(bare_stack: Stack) -> None:
    bare_stack._settings |= {"verify_s": 0.2}
    await bare_stack.start(apis=0)
    consumer = bare_stack.consumers[0]
    assert await all_violations(consumer) == dict.fromkeys(load_checks(), 0.0)
    async with bare_stack.sql() as record:
        await record.execute(
            "insert into jobs (id, tenant, kind, lane, priority, state, max_attempts, attempt, queued_at, input, keep_s)"
            " values (gen_random_uuid(), 't', 'k', 'default', 'low', 'queued', 1, 7, now(), '', 1)"
        )

    async def seen() -> bool:
        return (await violations(consumer))["too_many_attempts"] == 1

    async with asyncio.timeout(60):
        await until_found(seen)
    assert (await consumer.metrics())["sluice_invariants_violated_total"] >= 1
    assert '"check":"too_many_attempts"' in consumer.log.read_text().replace(" ", "")
