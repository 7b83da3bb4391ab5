"""Streams of events over real processes: what happens to a job reaches its client, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.support.event_stream import EventStream, follow
from tests.support.job_client import KINDS, JobClient
from tests.support.stack import Stack, make_a_key, stack_on_empty_servers


def in_short(stream: EventStream) -> list[str]:
    """What was told, without steps that may be told as one."""
    short = []
    for name, _, data in stream.told:
        what = data["message"] if name == "log" else data["state"] if name in ("state", "end") else name
        if what not in ("queued", "running"):
            short.append(what)
    return short


@pytest.fixture(scope="module")
def shared_stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start an api, and a consumer with our kinds, for this module."""
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("stack"), handlers=KINDS) as running:
        asyncio.run(running.start())
        yield running


@pytest.fixture
async def own_stack(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """Start an api, and a consumer with our kinds, for a test."""
    with Stack(servers, tmp_path, handlers=KINDS) as running:
        await running.start()
        yield running


@pytest.fixture
async def job(shared_stack: Stack, tmp_path: Path) -> AsyncIterator[JobClient]:
    """A job that tells its client something, waits at a gate, and tells more."""
    async with shared_stack.client() as client:
        yield JobClient(client, "own.tells", tmp_path)


async def test_a_job_is_followed_while_it_runs(job: JobClient) -> None:
    await job.submit()
    async with follow(job.client, f"{job.url}/events") as stream:
        line = (await stream.until("log")).data
        assert (line["level"], line["message"], line["attempt"]) == ("info", "begun", 1)
        assert line["fields"] == {"number": 0, "password": "***"}
        while "progress" not in {each.name for each in stream.told} and not any(
            each.data.get("progress") for each in stream.told
        ):
            assert await stream.next()
        job.gate.touch()
        *_, end = await stream.rest()
    assert (end.name, end.data["state"]) == ("end", "succeeded")
    assert "result" not in end.data
    assert stream.said == ["begun", "done"]
    again = await job.client.get(f"{job.url}/events", headers={"Last-Event-ID": end.id})
    assert (again.status_code, again.content) == (204, b"")


async def test_a_client_that_comes_again_elsewhere_is_told_what_it_missed(
    own_stack: Stack, tmp_path: Path
) -> None:
    first = own_stack.apis[0]
    async with (
        own_stack.another_api() as second,
        own_stack.client(api=first) as one,
        own_stack.client(api=second) as other,
    ):
        job = JobClient(one, "own.tells", tmp_path)
        await job.submit()
        async with follow(one, f"{job.url}/events") as stream:
            last = await stream.until("log")
            await asyncio.to_thread(first.stop)
            assert {each.name for each in await stream.rest()} <= {"state", "progress", "log"}
        job.gate.touch()
        async with follow(other, f"{job.url}/events", last.id) as again:
            await again.rest()
    assert again.said == ["done"]
    assert again.told[-1].name == "end"


async def test_all_jobs_of_a_tenant_are_followed_and_no_others(two_apis: Stack, tmp_path: Path) -> None:
    key = await make_a_key(two_apis.servers, "other", ["submit", "read"])
    first, second = two_apis.apis
    async with (
        two_apis.client(api=first) as mine,
        two_apis.client(key, second) as theirs,
        follow(mine, "/v1/events") as stream,
    ):
        await first.until_metric("sluice_event_streams", 1)
        ids = []
        for client, name in ((theirs, "theirs"), (mine, "mine")):
            directory = tmp_path / name
            directory.mkdir()
            job = JobClient(client, "own.tells", directory)
            job.gate.touch()
            ids.append((await job.submit())["id"])
        told = set[str]()  # of jobs before, lines may still come
        while ids[1] not in told:
            end = await stream.until("end")
            told |= {each.data.get("id") or each.data["job_id"] for each in stream.told}
    assert end.data["state"] == "succeeded"
    assert ids[0] not in told


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_without_redis_a_job_is_followed_to_its_end(
    own_stack: Stack, servers: Servers, tmp_path: Path, when: str
) -> None:
    async with own_stack.client() as client:
        job = JobClient(client, "own.tells", tmp_path)
        if when == "before":
            servers.redis.kill()
        await job.begin()
        async with follow(client, f"{job.url}/events") as stream:
            assert await stream.next()
            if when == "meanwhile":
                await stream.until("log")
                servers.redis.kill()
            job.gate.touch()
            await asyncio.wait_for(stream.rest(), 30)
    assert in_short(stream)[-1] == "succeeded"
    assert stream.said == ["begun", "done"]


async def test_what_was_logged_while_redis_was_away_is_told(
    own_stack: Stack, servers: Servers, tmp_path: Path
) -> None:
    async with own_stack.client() as client:
        servers.redis.kill()
        job = JobClient(client, "own.tells", tmp_path)
        await job.begin()
        async with follow(client, f"{job.url}/events") as stream:
            assert await stream.next()
            servers.up(servers.redis)
            assert (await asyncio.wait_for(stream.until("log"), 30)).data["message"] == "begun"
            job.gate.touch()
            await stream.rest()
    assert stream.said == ["begun", "done"]
