"""Events of jobs as other programs get them, from real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.support.event_subscriber import subscribed
from tests.support.job_client import KINDS, SUM, JobClient, submit_and_wait, until_ended
from tests.support.stack import Stack, stack_on_empty_servers
from tests.support.waiting import until_found


@pytest.fixture(scope="module")
def live(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start an api and a consumer that tell of jobs as they happen."""
    settings = {"handlers": KINDS, "events": "live", "pull_after_s": 0.5}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("live"), **settings) as stack:
        asyncio.run(stack.start())
        yield stack


async def test_the_end_of_a_job_is_told(live: Stack) -> None:
    async with (
        subscribed(live.servers.rabbitmq.url, "job.succeeded.demo.#") as heard,
        live.client() as client,
    ):
        job = (await submit_and_wait(client)).json()
        await heard.until_heard(job["id"], "succeeded")
    assert heard.states(job["id"]) == ["succeeded"]
    assert heard.heard[-1].headers["cloudEvents_id"] == f"{job['id']}.{job['version']}"


async def test_retries_and_the_failure_are_told_in_order(live: Stack) -> None:
    async with (
        subscribed(live.servers.rabbitmq.url, "job.*.demo.own.fails") as heard,
        live.client() as client,
    ):
        job = (await submit_and_wait(client, kind="own.fails", input={})).json()
        await heard.until_heard(job["id"], "failed")
    told = [state for state in heard.states(job["id"]) if state != "running"]
    assert told == ["scheduled", "scheduled", "failed"]


async def test_what_runs_for_a_while_is_told_once_and_so_is_the_wish_to_cancel_it(
    live: Stack, tmp_path: Path
) -> None:
    async with subscribed(live.servers.rabbitmq.url) as heard, live.client() as client:
        work = JobClient(client, "own.loop", tmp_path)
        await work.begin()
        job_id = work.url.rpartition("/")[2]
        await heard.until_heard(job_id, "running")
        await client.post(f"{work.url}/cancel")
        await heard.until_heard(job_id, "cancelled")
    assert heard.states(job_id) == ["running", "running", "cancelled"]


async def test_the_api_tells_what_it_cancels(live: Stack) -> None:
    async with subscribed(live.servers.rabbitmq.url, "job.cancelled.#") as heard, live.client() as client:
        job = (await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()
        await client.post(job["links"]["cancel"])
        await heard.until_heard(job["id"], "cancelled")


async def test_without_rabbitmq_jobs_end_as_ever_and_their_events_are_counted_as_dropped(live: Stack) -> None:
    (consumer,) = live.consumers
    async with live.client() as client:
        live.servers.rabbitmq.kill()
        before = (await consumer.metrics())["sluice_events_dropped_total"]
        job = (await client.post("/v1/jobs", json=SUM)).json()
        assert (await until_ended(client, job["links"]["self"]))["state"] == "succeeded"

        async def dropped() -> bool:
            return (await consumer.metrics())["sluice_events_dropped_total"] > before

        await until_found(dropped)
        live.servers.up()
        async with subscribed(live.servers.rabbitmq.url) as heard:

            async def heard_again() -> bool:
                again = (await submit_and_wait(client)).json()
                await asyncio.sleep(0.1)
                return "succeeded" in heard.states(again["id"])

            await until_found(heard_again)
