"""A whole stack without an address of RabbitMQ: everything works, and it is reported that consumers poll."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis.asyncio as redis

from infra.local.sample_jobs import samples
from infra.local.servers import Servers
from sluice.adapters.redis.connection import channel
from tests.support.job_client import KINDS, WAIT, JobClient, submit_and_wait, submit_failing, until_ended
from tests.support.stack import Stack, stack_without_rabbitmq
from tests.support.waiting import until_found

SHIPPED = "sluice.kinds.image_thumbnail,sluice.kinds.measurements_summary,sluice.kinds.demo_sleep,sluice.kinds.demo_spin"


def without_rabbitmq(stack: Stack) -> Stack:
    """Take the address of RabbitMQ away from this stack."""
    stack.environment["SLUICE_RABBITMQ_URL"] = ""
    return stack


async def outbox_is_empty(stack: Stack) -> bool:
    """Tell whether nothing is left in the outbox."""
    return await stack.count("select count(*) from outbox") == 0


@pytest.fixture(scope="module")
def no_rabbitmq(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start an api and two consumers without RabbitMQ, whose heartbeat is slower than any cancel may be."""
    settings = {"handlers": f"{KINDS},{SHIPPED}", "beat_s": 5, "lease_s": 20}
    directory = tmp_path_factory.mktemp("stack")
    with stack_without_rabbitmq(shared_servers, directory, **settings) as stack:
        asyncio.run(stack.start(consumers=2))
        yield stack


async def test_one_job_of_every_shipped_kind_succeeds(no_rabbitmq: Stack, tmp_path: Path) -> None:
    async with no_rabbitmq.client() as client:
        offered = (await client.get("/v1/kinds")).json()["kinds"]
        work = {sample.kind: sample.input for sample in samples(tmp_path, 7)}
        jobs = [await client.post("/v1/jobs", json={"kind": kind, "input": work[kind]}) for kind in work]
        states = [(await until_ended(client, job.json()["links"]["self"]))["state"] for job in jobs]
    assert {each["kind"] for each in offered} >= work.keys()
    assert len(work) == 5
    assert states == ["succeeded"] * 5


async def test_hundreds_of_jobs_of_every_priority_and_both_lanes_run_once(
    no_rabbitmq: Stack, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    before = await no_rabbitmq.count("select count(*) from jobs")

    async def submit(client: httpx2.AsyncClient, number: int) -> str:
        options: dict[str, Any] = {"priority": ("high", "normal", "low")[number % 3]}
        if number % 10 == 0:
            options["lane"] = "heavy"
        body = {"kind": "own.loop", "input": {"number": number, "gate": str(gate)}, "options": options}
        answer = await client.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def submit_some(first: int) -> list[str]:
        async with no_rabbitmq.client() as client:
            return [await submit(client, number) for number in range(first, first + 30)]

    ids = [each for some in await asyncio.gather(*map(submit_some, range(0, 240, 30))) for each in some]
    rows = await no_rabbitmq.finished(ids)
    assert {(row["state"], row["fence"], row["attempt"]) for row in rows.values()} == {("succeeded", 1, 1)}
    assert await no_rabbitmq.count("select count(*) from jobs") == before + 240
    await until_found(lambda: outbox_is_empty(no_rabbitmq))


async def test_who_waits_gets_the_result_of_pulled_work(no_rabbitmq: Stack) -> None:
    async with no_rabbitmq.client() as client:
        done = (await submit_and_wait(client)).json()
        later = await submit_and_wait(client, options={"delay_s": 0.3})
    assert (done["state"], done["result"]) == ("succeeded", {"total": 6})
    assert later.json()["state"] == "succeeded"


@pytest.mark.parametrize("kind", ["own.loop", "own.thread", "own.process"])
async def test_a_cancel_ends_pulled_work_wherever_it_runs(
    no_rabbitmq: Stack, kind: str, tmp_path: Path
) -> None:
    async with no_rabbitmq.client() as client:
        work = JobClient(client, kind, tmp_path)
        await work.begin()
        asked = await client.post(f"{work.url}/cancel")
        job = await work.until_ended()
    assert (asked.status_code, job["state"]) == (202, "cancelled")


async def test_a_failing_job_is_tried_again_after_its_back_off_and_again_on_request(
    no_rabbitmq: Stack,
) -> None:
    async with no_rabbitmq.client() as client:
        url = await submit_failing(client)
        job = (await client.get(url)).json()
        again = await client.post(f"{url}/retry")
        second = await until_ended(client, again.json()["links"]["self"])
    assert (job["attempt"], second["state"], second["attempt"]) == (3, "failed", 3)


async def test_equal_pure_work_runs_once(no_rabbitmq: Stack, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    body = {"kind": "own.pure", "input": {"number": 4711, "mark": str(mark)}}
    async with no_rabbitmq.client() as client:
        answers = [await client.post("/v1/jobs", json=body, headers=WAIT) for _ in range(3)]
    assert [answer.json()["result"] for answer in answers] == [{"number": 4711}] * 3
    assert len(mark.read_text().splitlines()) == 1


async def test_that_rabbitmq_is_not_configured_is_said_once_in_each_log_and_in_every_check(
    no_rabbitmq: Stack,
) -> None:
    for process in no_rabbitmq.apis + no_rabbitmq.consumers:
        lines = [line for line in process.log.read_text().splitlines() if "not_configured" in line]
        assert len(lines) == 1
        assert '"WARNING"' in lines[0]
        assert "SLUICE_RABBITMQ_URL" in lines[0]
        async with httpx2.AsyncClient() as client:
            check = await client.get(f"{process.private_url}/check")
            ready = await client.get(f"{process.private_url}/readyz")
        shown = check.json()
        assert (check.status_code, ready.status_code) == (200, 200)
        assert (shown["status"], shown["dispatch"]) == ("degraded", "pull")
        assert shown["dependencies"]["rabbitmq"]["status"] == "not configured"
        assert "SLUICE_RABBITMQ_URL" in shown["dependencies"]["rabbitmq"]["remedy"]


async def test_both_consumers_listen_for_calls(no_rabbitmq: Stack) -> None:
    client = redis.Redis.from_url(no_rabbitmq.servers.redis.url)

    async def both() -> bool:
        ((_, number),) = await client.pubsub_numsub(channel("call"))
        return bool(number == 2)

    await until_found(both)
    await client.aclose()
