"""Consumers die between the batches of a bulk act and in one: every job that fits is changed exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.fault.claims import check_claims
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import until_found

JOBS = 3_000
FAILED = """
insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at, finished_at, expires_at, error, fence, attempt, version)
select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'owner', 'demo.sum', 'default', 'normal', 'failed', '{"values":[1]}', 1, 3600, now(), now(), now() + interval '1 hour',
       '{"type":"handler-error"}', 1, 1, 3
from generate_series(1, $1::int) as n"""
ATTEMPTS = "insert into attempts (job_id, fence, attempt, outcome) select id, 1, 1, 'handler-error' from jobs where state = 'failed' and fence = 1"
WAITING = """
insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, run_at)
select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'owner', 'demo.sum', 'default', 'normal', 'scheduled', '{"values":[1]}', 1, 3600, now() + interval '1 hour'
from generate_series(1, $1::int) as n"""
CHANGED = {
    "cancel": "select count(*) from jobs where state = 'cancelled' and version = 2",
    "retry": "select count(distinct retry_of) from jobs where retry_of is not null",
    "delete": "select 3000 - count(*) from jobs",
}


async def prepare(stack: Stack, act: str) -> httpx2.AsyncClient:
    """Jobs that the act changes, and a client of their tenant."""
    async with stack.sql() as sql:
        await sql.execute(WAITING if act == "cancel" else FAILED, JOBS)
        await sql.execute(ATTEMPTS)
    scopes = ["submit", "read", "payloads", "admin"]
    return stack.client(await make_a_key(stack.servers, "owner", scopes))


async def begin(client: httpx2.AsyncClient, act: str, rate: float) -> str:
    body = {"act": act, "filter": {"kind": "demo.sum"}, "dry_run": False, "rate": rate}
    answer = await client.post("/v1/bulk", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["links"]["self"])


async def finished(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    act = (await client.get(url, params={"wait": "50"})).json()
    while act["state"] == "running":
        act = (await client.get(url, params={"wait": "50"})).json()
    return dict(act)


async def check(stack: Stack, client: httpx2.AsyncClient, url: str, act: str) -> None:
    """Every job is changed, and was counted as changed once."""
    done = await finished(client, url)
    assert (done["state"], done["changed"]) == ("finished", JOBS)
    assert await stack.count(CHANGED[act]) == JOBS
    if act == "retry":
        assert await stack.count("select count(*) from jobs where retry_of is not null") == JOBS
        async with stack.sql() as sql:
            made = await sql.fetch("select id::text from jobs where retry_of is not null")
        rows = await stack.finished(row[0] for row in made)
        assert {row["state"] for row in rows.values()} == {"succeeded"}
        await check_claims(stack)


@pytest.mark.parametrize("act", ["cancel", "retry", "delete"])
async def test_consumers_that_die_between_batches_leave_nothing_out_and_do_nothing_twice(
    bare_stack: Stack, act: str
) -> None:
    await bare_stack.start(consumers=2)
    async with await prepare(bare_stack, act) as client:
        url = await begin(client, act, rate=400)
        for victim in bare_stack.consumers:
            before = (await client.get(url)).json()["changed"]

            async def has_moved(before: int = before) -> bool:
                return bool((await client.get(url)).json()["changed"] > before)

            await until_found(has_moved)
            victim.kill()
            assert (await client.get(url)).json()["state"] == "running"
            victim.start()
        await check(bare_stack, client, url, act)


@pytest.mark.parametrize("act", ["cancel", "delete"])
async def test_consumers_that_die_in_a_batch_leave_nothing_out_and_do_nothing_twice(
    bare_stack: Stack, act: str
) -> None:
    await bare_stack.start(consumers=1)
    waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%bulk act%'"
    async with await prepare(bare_stack, act) as client, bare_stack.sql() as sql:
        locked = sql.transaction()
        await locked.start()
        await sql.execute("select from jobs order by id limit 1 for update")  # the last one of the act
        url = await begin(client, act, rate=10_000)
        await until_found(lambda: bare_stack.count(waits))
        bare_stack.consumers[0].kill()
        await bare_stack.add_consumer().ready()
        await asyncio.sleep(1)
        assert (await client.get(url)).json()["state"] == "running"
        await locked.rollback()
        await check(bare_stack, client, url, act)


async def test_a_record_that_is_killed_in_the_middle_leaves_nothing_out_and_does_nothing_twice(
    bare_stack: Stack,
) -> None:
    await bare_stack.start(consumers=2)
    async with await prepare(bare_stack, "retry") as client:
        url = await begin(client, "retry", rate=1_000)

        async def has_moved() -> bool:
            return bool((await client.get(url)).json()["changed"] > JOBS // 10)

        await until_found(has_moved)
        bare_stack.servers.postgres.kill()
        bare_stack.servers.up(bare_stack.servers.postgres)
        for each in [*bare_stack.apis, *bare_stack.consumers]:
            await each.ready()
        await check(bare_stack, client, url, "retry")
