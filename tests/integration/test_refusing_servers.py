"""Real servers refuse in ways that no code of ours names: nothing ends, nothing is lost, and all goes on once they are mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
import redis.asyncio as redis
from yarl import URL

from infra.local.servers import Servers
from sluice.adapters.redis.connection import channel
from tests.support.job_client import KINDS, SUM, JobClient, until_ended
from tests.support.servers import empty_rabbitmq, sql_session
from tests.support.stack import Stack, stack_on_empty_servers
from tests.support.waiting import answers, until_found

GARBAGE = (b"\xff\xfe", b"no:version", b",,:!", b"x" * 100_000)


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api and a consumer whose lease outlives each fault."""
    more = {"handlers": KINDS, "lease_s": 60, "beat_s": 0.4}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("refused"), **more) as stack:
        asyncio.run(stack.start())
        yield stack


@asynccontextmanager
async def revoked(servers: Servers) -> AsyncIterator[None]:
    """Nobody may write jobs: 42501."""
    async with sql_session(servers.postgres.url) as sql:
        await sql.execute("revoke insert, update on jobs from sluice")
        try:
            yield
        finally:
            await sql.execute("grant insert, update on jobs to sluice")


@asynccontextmanager
async def renamed(servers: Servers) -> AsyncIterator[None]:
    """The database has another name: first 55000, then 3D000."""
    elsewhere = str(URL(servers.postgres.url).with_path("/template1"))
    async with sql_session(elsewhere) as sql:
        await sql.execute("alter database sluice allow_connections false")
        try:
            await sql.fetch(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'sluice'"
            )
            await sql.execute("alter database sluice rename to gone")
            try:
                yield
            finally:
                await sql.execute("alter database gone rename to sluice")
        finally:
            await sql.execute("alter database sluice allow_connections true")


@asynccontextmanager
async def no_commands(servers: Servers) -> AsyncIterator[None]:
    """Redis permits nothing: NOPERM."""
    async with redis.Redis.from_url(servers.redis.url) as client:
        rules = ("ACL", "SETUSER", "default")
        await client.execute_command(*rules, "-@all", "+acl")  # type: ignore[no-untyped-call]  # untyped in redis-py
        try:
            yield
        finally:
            await client.execute_command(*rules, "+@all")  # type: ignore[no-untyped-call]  # as above


@asynccontextmanager
async def no_queues(servers: Servers) -> AsyncIterator[None]:
    """Somebody has deleted every queue."""
    await empty_rabbitmq(servers)
    yield


Fault = Callable[[Servers], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "outcomes", "noticed"),
    [
        pytest.param(revoked, {"record-refused"}, "server_refused", id="revoked"),
        pytest.param(
            renamed, {"record-refused", "record-away", "outcome-unknown"}, "server_away", id="renamed"
        ),
        pytest.param(no_commands, {"accepted"}, "announcements_failed", id="no commands"),
        pytest.param(no_queues, {"accepted"}, "", id="no queues"),
    ],
)
async def test_nothing_ends_and_nothing_is_lost(
    stack: Stack, tmp_path: Path, fault: Fault, outcomes: set[str], noticed: str
) -> None:
    before = await _count(stack, noticed)

    async def has_noticed() -> bool:
        return not noticed or await _count(stack, noticed) > before

    async with stack.client() as client:
        held = JobClient(client, "own.loop", tmp_path)
        await held.begin()
        async with fault(stack.servers):
            answers = [await client.post("/v1/jobs", json=SUM) for _ in range(4)]
            assert {_word(each) for each in answers} <= outcomes
            held.gate.touch()
            await until_found(has_noticed)
        accepted = [each.json()["links"]["self"] for each in answers if each.status_code == 202]
        accepted.append(await _submitted(client))
        for url in accepted:
            assert (await until_ended(client, url))["state"] == "succeeded"
        assert (await held.until_ended())["state"] == "succeeded"
    await _nothing_has_failed(stack)


@pytest.mark.parametrize(
    ("server", "process", "ready"),
    [
        ("postgres", "api", 503),
        ("redis", "api", 200),
        ("rabbitmq", "api", 200),
        ("rabbitmq", "consumer", 200),
    ],
)
async def test_a_wrong_password_is_said_by_the_name_of_its_setting(
    stack: Stack, tmp_path: Path, server: str, process: str, ready: int
) -> None:
    wrong = str(URL(stack.servers.urls[server]).with_password("wrong"))
    with Stack(stack.servers, tmp_path) as other:
        add = other.add_api if process == "api" else other.add_consumer
        started = add(**{f"{server}_url": wrong})
        async with httpx2.AsyncClient(base_url=started.private_url) as client:

            async def named() -> bool:
                if not await answers(client, "/livez", 200):
                    return False
                found = (await client.get("/check")).json()["dependencies"]
                whole = next(each for name, each in found.items() if name.startswith(server))
                why = f"it refuses the user or the password in SLUICE_{server.upper()}_URL"
                return whole["status"] == "unfit" and why in whole["why"]

            for _ in range(3):  # also once it is no longer asked each time
                await until_found(named)
            assert (await client.get("/readyz")).status_code == ready


async def test_garbage_in_redis_is_skipped(stack: Stack) -> None:
    before = await _count(stack, "messages_unreadable")
    async with redis.Redis.from_url(stack.servers.redis.url) as cache, stack.client() as client:
        url = await _submitted(client)
        await until_ended(client, url)
        await until_found(partial(_statistics, cache))
        (key,) = await _statistics(cache)
        prefix = key.removesuffix(b"statistics")
        for topic in ("wake", "gone", "stop", "call"):
            for body in GARBAGE:
                await cache.publish(channel(topic), body)
        await cache.delete(key)
        await cache.hset(key, "no", "statistics")
        await cache.set(prefix + b"document:" + url.rsplit("/", 1)[1].encode(), b"\xff\t garbage")
        assert (await client.get(url)).json()["state"] == "succeeded"
        later = await _submitted(client)
        assert (await until_ended(client, later))["state"] == "succeeded"
        assert await _count(stack, "messages_unreadable") > before
    await _nothing_has_failed(stack)


async def _statistics(cache: redis.Redis) -> list[bytes]:
    """The keys of statistics; a keeper writes them within a second."""
    return [each async for each in cache.scan_iter("*:statistics")]


async def _count(stack: Stack, event: str) -> float:
    """How often all processes together have counted an event."""
    figures = [await each.metrics() for each in (*stack.apis, *stack.consumers)]
    return sum(each.get(f"sluice_{event}_total", 0) for each in figures)


async def _submitted(client: httpx2.AsyncClient) -> str:
    """Submit until it is accepted; returns where the job is."""
    while True:
        answer = await client.post("/v1/jobs", json=SUM)
        if answer.status_code == 202:
            return str(answer.json()["links"]["self"])
        assert answer.status_code == 503, answer.text
        await asyncio.sleep(0.05)


def _word(answer: httpx2.Response) -> str:
    if answer.status_code == 202:
        return "accepted"
    assert "retry-after" in answer.headers
    return str(answer.json()["type"])


async def _nothing_has_failed(stack: Stack) -> None:
    for process in (*stack.apis, *stack.consumers):
        assert process.process is not None
        assert process.process.poll() is None, process.log.read_text()[-3000:]
        failed = (await process.metrics())["sluice_tasks_failed_total"]
        assert failed == 0, process.log.read_text()[-3000:]
