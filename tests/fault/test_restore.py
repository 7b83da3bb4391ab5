"""The record restored to a moment before somebody's mistake, while Redis and RabbitMQ still know what came later."""

from __future__ import annotations

import asyncio
import copy
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from infra.local.run_as import temporary_directory
from infra.local.servers import Postgres, Servers
from sluice.adapters.postgres.migrate import migrate
from tests.fault.claims import check_claims
from tests.fault.jobs import submit
from tests.support.backups import Archived, Restored
from tests.support.job_client import submit_and_wait
from tests.support.servers import sql_session, urls
from tests.support.stack import COMMAND, Stack, clean_environment
from tests.support.waiting import until_found

LATER = {"kind": "demo.sleep", "input": {"seconds": 2}}
pytestmark = pytest.mark.timeout(180)  # two servers of its own, one of which recovers


@pytest.fixture
async def archived(servers: Servers) -> AsyncIterator[Archived]:
    """Run a migrated PostgreSQL that archives its log."""
    directory = temporary_directory("sluice-backup-")
    postgres = Archived(directory / "postgres")
    try:
        await asyncio.to_thread(postgres.start)
        await migrate(postgres.url)
        yield postgres
    finally:
        postgres.kill()
        shutil.rmtree(directory, ignore_errors=True)


async def test_a_record_is_restored_to_a_moment_and_everything_goes_on_from_there(
    servers: Servers, archived: Archived, tmp_path: Path
) -> None:
    seen = await _live_until_a_mistake(_with(servers, archived), archived, tmp_path)
    restored = Restored(archived.directory.parent / "restored", archived, seen.moment)
    try:
        await asyncio.to_thread(restored.start)
        with Stack(_with(servers, restored), tmp_path) as stack:
            stack.key = seen.key
            stack.add_api()
            stack.add_consumer()
            await asyncio.gather(*(each.ready() for each in stack.apis + stack.consumers))
            await stack.finished(seen.running)
            await _check_what_clients_see(stack, seen)
            await check_claims(stack)
            await until_found(lambda: _keeps_every_invariant(stack.servers))
    finally:
        restored.kill()


class Seen(NamedTuple):
    """What clients have seen: jobs that ended before a moment, ids of those that ran then, and one that came after it."""

    key: str
    old: list[dict[str, Any]]
    running: list[str]
    moment: str
    lost: dict[str, Any]


async def _live_until_a_mistake(servers: Servers, archived: Archived, directory: Path) -> Seen:
    """Run jobs before, during and after a base backup; then somebody deletes them."""
    with Stack(servers, directory) as stack:
        await stack.start()
        async with stack.client() as client:
            old = [(await submit_and_wait(client)).json()]
            await asyncio.to_thread(archived.back_up)
            old.append((await submit_and_wait(client, input={"values": [4]})).json())
            running = await submit(stack, LATER, 3)
            moment = await _moment(archived)
            lost = (await submit_and_wait(client, input={"values": [5]})).json()
        await stack.finished(running)
        async with stack.sql() as sql:
            await sql.execute("delete from jobs where state = 'succeeded'")
        await asyncio.to_thread(archived.stop)
    return Seen(stack.key, old, running, moment, lost)


async def _check_what_clients_see(stack: Stack, seen: Seen) -> None:
    async with stack.client() as client:
        assert [await _shown(client, job) for job in seen.old] == [(200, job["result"]) for job in seen.old]
        assert (await _shown(client, seen.lost))[0] == 404
        again = (await submit_and_wait(client, input={"values": [5]})).json()
        assert (again["id"] != seen.lost["id"], again["result"]) == (True, seen.lost["result"])


def _with(servers: Servers, postgres: Postgres) -> Servers:
    """Return these servers with another PostgreSQL: what Redis and RabbitMQ hold stays."""
    those = copy.copy(servers)
    those.postgres = postgres
    return those


async def _moment(postgres: Archived) -> str:
    """Return the time of the record, which lies between what came before this call and what comes after."""
    async with sql_session(postgres.url) as sql:
        moment = await sql.fetchval("select now()::text")
        await sql.execute("select pg_sleep(0.01)")
    return str(moment)


async def _shown(client: httpx2.AsyncClient, job: dict[str, Any]) -> tuple[int, object]:
    answer = await client.get(f"/v1/jobs/{job['id']}")
    return answer.status_code, answer.json().get("result")


async def _keeps_every_invariant(servers: Servers) -> bool:
    """Ask as an operator does."""
    asking = await asyncio.create_subprocess_exec(
        COMMAND, "verify", env={**clean_environment(), **urls(servers)}, stdout=asyncio.subprocess.DEVNULL
    )
    return await asking.wait() == 0
