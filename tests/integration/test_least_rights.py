"""The processes need no more than the accounts that docs/operations.md describes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx2
import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.postgres.verifier import PostgresVerifier
from tests.support.job_client import KINDS, JobClient, submit_and_wait
from tests.support.least_accounts import ROLES, Accounts, accounts_of_the_page
from tests.support.servers import settings_for, sql_session
from tests.support.stack import ROOT, Stack, stack_on_empty_servers
from tests.support.waiting import until_found
from tests.support.webhook_receiver import webhook_receiver


@pytest.fixture(scope="module")
def accounts(shared_servers: Servers) -> Iterator[Accounts]:
    """Make every account."""
    with accounts_of_the_page(shared_servers) as made:
        yield made


@pytest.fixture(scope="module")
def stack(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start an api and a consumer under their accounts."""
    settings = {
        "handlers": KINDS, "webhook_allow": "127.0.0.0/8", "events": "live", "submit_rate": "1000/1",
        "redis_url": accounts.redis, "rabbitmq_url": accounts.rabbitmq,
    }  # fmt: skip
    directory = tmp_path_factory.mktemp("least")
    with stack_on_empty_servers(accounts.servers, directory, **settings) as running:
        asyncio.run(start(running, accounts))
        yield running


async def start(stack: Stack, accounts: Accounts) -> None:
    """Start each process under the role of its own."""
    await stack.start(apis=0, consumers=0)
    stack.add_api(postgres_url=accounts.postgres("sluice_api"))
    stack.add_consumer(postgres_url=accounts.postgres("sluice_consumer"))
    await asyncio.gather(*(each.ready() for each in stack.apis + stack.consumers))


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client, and see afterwards that no server has refused anything."""
    async with stack.client() as opened:
        yield opened
    for each in stack.apis + stack.consumers:
        log = each.log.read_text()
        assert "server_refused" not in log, log[-3000:]
        assert (await each.metrics())["sluice_duties_failed_total"] == 0


async def test_a_job_goes_through_rabbitmq_and_is_cached(stack: Stack, client: httpx2.AsyncClient) -> None:
    job = (await submit_and_wait(client)).json()
    assert job["state"] == "succeeded"
    assert (await client.get(job["links"]["self"])).json() == job
    (consumer,) = stack.consumers
    assert (await consumer.metrics())["sluice_ids_delivered_total"] > 0
    async with redis.Redis.from_url(stack.servers.redis.url) as client_of_redis:
        assert await client_of_redis.keys(f"sluice:*{job['id']}*")


async def test_what_runs_is_cancelled_retried_and_deleted(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    work = JobClient(client, "own.loop", tmp_path)
    await work.begin()
    assert (await client.post(f"{work.url}/cancel")).status_code == 202
    assert (await work.until_ended())["state"] == "cancelled"
    failed = (await submit_and_wait(client, kind="own.fails", input={})).json()
    assert (await client.get(failed["links"]["self"] + "/attempts")).status_code == 200
    assert (await client.post(failed["links"]["self"] + "/retry")).status_code in (200, 202)
    assert (await client.delete(failed["links"]["self"])).status_code in (200, 204)


async def test_a_schedule_fires(stack: Stack, client: httpx2.AsyncClient) -> None:
    schedule = {"name": "least", "cron": "0 0 1 1 *", "kind": "demo.sum", "input": {"values": [1]}}
    assert (await client.post("/v1/schedules", json=schedule)).status_code == 201
    for verb in ("pause", "resume"):
        assert (await client.post(f"/v1/schedules/least/{verb}")).status_code == 200
    async with stack.sql() as owner:
        await owner.execute("update schedules set next_at = now() - interval '1 s'")

    async def has_fired() -> bool:
        return (await client.get("/v1/schedules/least")).json()["last_job_id"] is not None

    await until_found(has_fired)
    assert (await client.delete("/v1/schedules/least")).status_code in (200, 204)


async def test_a_webhook_is_told(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        hook = await client.post("/v1/webhooks", json={"url": receiver.url})
        assert hook.status_code == 201, hook.text
        await submit_and_wait(client)
        await receiver.until(1)
        assert (await client.delete(f"/v1/webhooks/{hook.json()['id']}")).status_code in (200, 204)


async def test_a_lane_is_paused_and_resumed(client: httpx2.AsyncClient) -> None:
    paused = await client.post("/v1/lanes/default/pause", json={"reason": "to see"})
    assert paused.status_code == 200, paused.text
    assert (await client.post("/v1/lanes/default/resume")).status_code == 200
    await submit_and_wait(client)


async def test_a_key_is_made_rotated_and_revoked(stack: Stack, client: httpx2.AsyncClient) -> None:
    made = await client.post("/v1/keys", json={"name": "least", "scopes": ["read"]})
    assert made.status_code == 201, made.text
    key = made.json()["id"]
    rotated = await client.post(f"/v1/keys/{key}/rotate", json={})
    assert rotated.status_code in (200, 201), rotated.text
    assert (await client.delete(f"/v1/keys/{key}")).status_code in (200, 204)
    assert (await client.get("/v1/system")).status_code == 200


async def refused_statements(url: str) -> set[str]:
    """Names of the statements that PostgreSQL does not permit: to explain one, it looks at the rights that it needs."""
    refused = set()
    async with sql_session(url) as connection:
        for name, statement in load_queries().items():
            parameters = len((await connection.prepare(statement)).get_parameters())
            given = f"({', '.join(['null'] * parameters)})" if parameters else ""
            await connection.execute(f"prepare it as {statement}")
            try:
                await connection.execute(f"explain execute it{given}")
            except asyncpg.InsufficientPrivilegeError:
                refused.add(name)
            await connection.execute("deallocate it")
    return refused


async def test_each_role_may_run_every_statement_that_its_process_sends(accounts: Accounts) -> None:
    queries = ROOT / "sluice/adapters/postgres/queries"
    of_keys = {
        path.stem
        for folder in ("access_store", "api_key_store")
        for path in (queries / folder).glob("*.sql")
        if path.stem != "list_audit"
    }
    assert await refused_statements(accounts.servers.postgres.url) == set()
    assert await refused_statements(accounts.postgres("sluice_api")) == {"prune_audit"}
    assert await refused_statements(accounts.postgres("sluice_consumer")) == of_keys


async def test_each_role_may_verify_the_record(accounts: Accounts) -> None:
    for role in ROLES:
        settings = settings_for(accounts.servers)
        found = await PostgresVerifier(accounts.postgres(role), settings).verify(None)
        assert len(found) > 10


async def test_a_table_that_a_later_migration_makes_is_covered(accounts: Accounts) -> None:
    async with sql_session(accounts.servers.postgres.url) as owner:
        await owner.execute("create table later (n int)")
        try:
            for role in ROLES:
                async with sql_session(accounts.postgres(role)) as session:
                    await session.execute(
                        "insert into later values (1); update later set n = 2; delete from later"
                    )
        finally:
            await owner.execute("drop table later")
