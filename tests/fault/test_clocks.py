"""Machines whose clocks are an hour off: the record's clock decides, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.fault.claims import check_claims
from tests.support.job_client import KINDS, SUM, WAIT, submit_and_wait
from tests.support.stack import Process, Stack, make_a_key, stack_on_empty_servers
from tests.support.waiting import until_found

OFFSETS = ("+1h", "-1h")
LEASE_S = 15
ahead_and_behind = pytest.mark.parametrize("number", [0, 1], ids=["ahead", "behind"])


def faked(offset: str) -> dict[str, str]:
    """Return the environment that shifts a process's clock; durations stay true."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture(scope="module")
def skewed(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start two apis and two consumers: one of each is an hour ahead, the other an hour behind."""
    settings = {"handlers": f"{KINDS},sluice.kinds.demo_sleep", "lease_s": LEASE_S}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("skewed"), **settings) as stack:
        for offset in OFFSETS:
            stack.environment |= faked(offset)
            stack.add_api()
            stack.add_consumer()
        asyncio.run(stack.start(apis=0, consumers=0))
        yield stack


@asynccontextmanager
async def client_of(stack: Stack, number: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client of this api."""
    async with stack.client(api=stack.apis[number]) as client:
        yield client


async def submit(client: httpx2.AsyncClient, body: dict[str, Any], **options: Any) -> httpx2.Response:
    """Submit, and return the answer."""
    return await client.post("/v1/jobs", json=body | {"options": options})


async def test_the_clocks_are_off_indeed(skewed: Stack) -> None:
    for api, hours in zip(skewed.apis, (1, -1), strict=True):
        assert abs(_date(await _kinds(skewed, api)) - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(
            minutes=5
        )


async def test_a_scrape_shows_how_wrong_each_clock_is(skewed: Stack) -> None:
    for process, hours in zip((*skewed.apis, *skewed.consumers), (1, -1, 1, -1), strict=True):

        async def shows_it(process: Process = process, hours: int = hours) -> bool:
            shown = (await process.metrics())["sluice_record_clock_offset_seconds"]
            return abs(shown + hours * 3600) < 300

        await until_found(shows_it)


async def test_leases_hold_and_no_job_is_done_twice(skewed: Stack) -> None:
    # a lease that is an hour off would be over at once, or hold for an hour
    nap = {"kind": "demo.sleep", "input": {"seconds": 3}}
    answers: list[httpx2.Response] = []
    async with client_of(skewed, 0) as ahead, client_of(skewed, 1) as behind:

        async def both_have_some() -> bool:
            # RabbitMQ decides who gets a message, and one message may be of several jobs
            answers.extend([await submit(client, nap) for client in (ahead, behind) * 2])
            return all([(await each.metrics())["sluice_jobs_claimed_total"] for each in skewed.consumers])

        await until_found(both_have_some)
        rows = await skewed.finished([each.json()["id"] for each in answers])
    assert {(row["state"], row["attempt"], row["fence"]) for row in rows.values()} == {("succeeded", 1, 1)}
    assert await check_claims(skewed) == {}
    figures = [await each.metrics() for each in skewed.consumers]
    assert [each["sluice_jobs_rescued_total"] for each in figures] == [0, 0]


@ahead_and_behind
async def test_what_is_to_come_comes_at_its_time(skewed: Stack, number: int) -> None:
    async with client_of(skewed, number) as client:
        soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        answers = [
            await submit(client, SUM, delay_s=3),
            await submit(client, SUM, run_at=soon),
            await submit(client, SUM, delay_s=3, deadline_s=600),
        ]
        rows = await skewed.finished([each.json()["id"] for each in answers])
        later = await submit(client, SUM, delay_s=600)
        sooner = await submit(client, SUM, delay_s=1800, deadline_s=1900)
    for row in rows.values():
        assert row["state"] == "succeeded"
        assert timedelta(seconds=2) < row["started_at"] - row["created_at"] < timedelta(minutes=2)
    assert max(int(each.headers["retry-after"]) for each in answers) <= 20  # the naps have made the lane slow
    assert min(int(each.headers["retry-after"]) for each in (later, sooner)) >= 20


@ahead_and_behind
async def test_results_are_as_old_as_they_are(skewed: Stack, number: int) -> None:
    pure, brief = ({"kind": kind, "input": {"number": number}} for kind in ("own.pure", "own.brief"))
    async with client_of(skewed, number) as client:
        first = await submit_and_wait(client, **pure)
        await submit_and_wait(client, **brief)
        again = await submit(client, pure)
        assert (again.headers["location"], again.status_code) == (first.headers["location"], 200)
        assert int(again.headers["age"]) < 100
        assert int(again.headers["cache-status"].rpartition("=")[2]) > 500  # of 600
        await asyncio.sleep(1.5)
        assert (await submit(client, brief)).status_code == 202  # a result is reused for a second


@ahead_and_behind
async def test_who_waits_is_answered_when_the_job_ends_and_not_before(skewed: Stack, number: int) -> None:
    nap = {"kind": "demo.sleep", "input": {"seconds": 2}}
    async with client_of(skewed, number) as client:
        answer = await client.post("/v1/jobs", json=nap, headers=WAIT)
        short = await client.get((await submit(client, nap)).headers["location"], params={"wait": "0.2"})
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert short.json()["finished_at"] is None


async def test_keys_end_by_the_clock_of_the_record(skewed: Stack) -> None:
    for minutes, status in ((30, 200), (-30, 401)):
        key = await _key_for(skewed, timedelta(minutes=minutes))
        assert [(await _kinds(skewed, api, key)).status_code for api in skewed.apis] == [status] * 2


async def test_schedules_go_by_the_clock_of_the_record(skewed: Stack) -> None:
    for number in range(2):
        async with client_of(skewed, number) as client:
            plan = SUM | {"name": f"often-{number}", "cron": "* * * * *"}
            made = (await client.post("/v1/schedules", json=plan)).json()
            wait = datetime.fromisoformat(made["next_at"]) - datetime.now(UTC)
            assert timedelta(seconds=-30) < wait < timedelta(seconds=90)
            assert (await client.delete(made["links"]["self"])).status_code == 204


async def _key_for(stack: Stack, left: timedelta) -> str:
    """Make a key that is valid for so long."""
    key = await make_a_key(stack.servers, "acme", ["read", "payloads"])
    async with stack.sql() as record:
        await record.execute("update api_keys set expires_at = now() + $1 where tenant = 'acme'", left)
    return key


async def _kinds(stack: Stack, api: Process, key: str | None = None) -> httpx2.Response:
    async with stack.client(key, api=api) as client:
        return await client.get("/v1/kinds")


def _date(answer: httpx2.Response) -> datetime:
    return datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
