"""Pause a lane of a running stack: nothing of it begins, with RabbitMQ and without, whoever restarts meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.redis.connection import channel
from tests.support.job_client import KINDS, SUM, JobClient, submit_and_wait
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

PAUSE, RESUME = "/v1/lanes/default/pause", "/v1/lanes/default/resume"


@pytest.fixture(params=["by messages", "by polls"])
async def fleet(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """An api and two consumers, which get their work in this way."""
    with Stack(servers, tmp_path, handlers=KINDS) as stack:
        if request.param == "by polls":
            stack.environment["SLUICE_RABBITMQ_URL"] = ""
        await stack.start(consumers=2)
        yield stack


async def told(process: Process, begins: str) -> None:
    """Return once /check of a process says so of the lanes."""

    async def says_it() -> bool:
        async with httpx2.AsyncClient() as client:
            shown = (await client.get(f"{process.private_url}/check")).json()["paused_lanes"]
        return str(shown).startswith(begins)

    await until_found(says_it)


async def pause(stack: Stack, client: httpx2.AsyncClient) -> None:
    """Pause the lane; return once every process knows."""
    answer = await client.post(PAUSE, json={"reason": "the disk is full"})
    assert answer.status_code == 200, answer.text
    await asyncio.gather(*(told(each, "default, since ") for each in stack.consumers))


async def sums(client: httpx2.AsyncClient, jobs: int = 5) -> list[str]:
    """Submit so many jobs to the lane; return their ids."""
    answers = [
        await client.post("/v1/jobs", json=SUM | {"input": {"values": [each]}}) for each in range(jobs)
    ]
    return [answer.json()["id"] for answer in answers]


async def untouched(stack: Stack, ids: list[str]) -> bool:
    """Tell whether nobody has claimed any of them."""
    query = "select count(*) from jobs where id = any($1::uuid[]) and state = 'queued' and fence = 0"
    return await stack.count(query, ids) == len(ids)


async def begun(stack: Stack, ids: list[str]) -> set[tuple[str, int]]:
    """Return state and number of claims of these jobs, once they have ended."""
    return {(row["state"], row["fence"]) for row in (await stack.finished(ids)).values()}


async def test_nothing_of_a_paused_lane_begins_and_what_runs_goes_on(fleet: Stack, tmp_path: Path) -> None:
    async with fleet.client() as client:
        running = JobClient(client, "own.loop", tmp_path)
        await running.begin()
        await pause(fleet, client)
        waiting = await sums(client)
        await submit_and_wait(client, options={"lane": "heavy"})  # other lanes go on
        running.gate.touch()
        assert (await running.until_ended())["state"] == "succeeded"
        await submit_and_wait(client, options={"lane": "heavy"})
        assert await untouched(fleet, waiting)
        assert (await client.post(RESUME)).status_code == 200
        assert await begun(fleet, waiting) == {("succeeded", 1)}
    await asyncio.gather(*(told(each, "none") for each in fleet.consumers))


async def test_every_consumer_listens_for_pauses(fleet: Stack) -> None:
    client = redis.Redis.from_url(fleet.servers.redis.url)

    async def both() -> bool:
        ((_, number),) = await client.pubsub_numsub(channel("pauses"))
        return bool(number == 2)

    await until_found(both)
    await client.aclose()


async def test_a_pause_survives_restarts_of_everything(fleet: Stack) -> None:
    async with fleet.client() as client:
        await pause(fleet, client)
        waiting = await sums(client)
        await submit_and_wait(client, options={"lane": "heavy"})
        for process in (*fleet.apis, *fleet.consumers):
            await asyncio.to_thread(process.stop)
            process.start()
        await asyncio.gather(*(each.ready() for each in (*fleet.apis, *fleet.consumers)))
        await asyncio.gather(*(told(each, "default, since ") for each in (*fleet.apis, *fleet.consumers)))
        await submit_and_wait(client, options={"lane": "heavy"})
        assert await untouched(fleet, waiting)
        found = [await each.metrics() for each in fleet.consumers]
        assert sum(each["sluice_ids_delivered_total"] for each in found) <= 1  # of the other lane
        lanes = {each["name"]: each for each in (await client.get("/v1/lanes")).json()["lanes"]}
        assert lanes["default"]["paused"]["reason"] == "the disk is full"
        assert lanes["heavy"]["paused"] is None
        await client.post(RESUME)
        assert await begun(fleet, waiting) == {("succeeded", 1)}


async def test_what_waits_is_counted_and_each_process_shows_the_pause(fleet: Stack) -> None:
    async with fleet.client() as client:
        await pause(fleet, client)
        await sums(client)

        async def counted() -> bool:
            lane = (await client.get("/v1/lanes")).json()["lanes"][0]
            return bool(lane["queued"] == 5 and lane["consumers"] == 2 and lane["drain_s"] is None)

        await until_found(counted)
        await asyncio.gather(*(shows_the_pause(each) for each in (*fleet.apis, *fleet.consumers)))


async def shows_the_pause(process: Process) -> None:
    """Return once a process shows the lane as paused in its metrics."""

    async def shown() -> bool:
        async with httpx2.AsyncClient() as client:
            text = (await client.get(f"{process.private_url}/metrics")).text
        return 'sluice_lane_paused{lane="default"} 1.0' in text

    await until_found(shown)
