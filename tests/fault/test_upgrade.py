"""Two releases side by side: kinds and versions that one of them lacks, and a schema that changes under load."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.server_checks import NEWEST_REVISION
from tests.fault.claims import check_claims
from tests.fault.newer_sum import NEWER_BY
from tests.support.job_client import KINDS, SUM
from tests.support.load import Load
from tests.support.stack import Stack, stack_on_empty_servers
from tests.support.waiting import until_found

OLD = "sluice.kinds.demo_sum"
NEWER = "tests.fault.newer_sum"
OWN: dict[str, Any] = {"kind": "own.loop", "input": {}}
MINUTES_PASS = "update outbox set due = now() where due > now() + interval '5 seconds'"
TABLES = (
    "jobs", "inputs", "outbox", "attempts", "idempotency_keys", "api_keys", "consumers", "lanes", "schedules",
)  # fmt: skip
NEXT = "9999"
"""A revision that this release does not know."""


@pytest.fixture(scope="module")
def two_releases(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a new api beside an older consumer and an older api, which lack kinds."""
    with stack_on_empty_servers(
        shared_servers, tmp_path_factory.mktemp("two_releases"), handlers=KINDS
    ) as stack:
        stack.add_api()
        stack.add_api(handlers=OLD)
        stack.add_consumer(handlers=OLD)
        asyncio.run(stack.start(apis=0, consumers=0))
        yield stack


async def test_what_an_old_consumer_does_not_know_waits_for_a_new_one(two_releases: Stack) -> None:
    async with (
        two_releases.client() as client,
        two_releases.client(api=two_releases.apis[1]) as old,
        two_releases.sql() as record,
    ):
        jobs = [(await client.post("/v1/jobs", json=body)).json()["id"] for body in [OWN, SUM] * 10]
        await two_releases.finished(jobs[1::2])
        await until_found(
            lambda: _finds(record, "select count(*) from outbox", 0)
        )  # the old one has had them all
        rows = await record.fetch("select state, attempt, fence from jobs where kind = 'own.loop'")
        assert [tuple(row) for row in rows] == [("queued", 0, 0)] * 10
        assert (await old.get(f"/v1/jobs/{jobs[0]}")).json()["state"] == "queued"
        assert (await old.post("/v1/jobs", json=OWN)).json()["type"] == "kind-unknown"
        new = two_releases.add_consumer()
        await new.ready()
        jobs += [(await client.post("/v1/jobs", json=body)).json()["id"] for body in [OWN, SUM] * 20]

        async def all_have_finished() -> bool:
            await record.execute(MINUTES_PASS)
            return await _finds(
                record, "select count(*) from jobs where state = 'succeeded' and attempt = 1", 60
            )

        await until_found(all_have_finished)
        assert (await old.get(f"/v1/jobs/{jobs[0]}")).json()["result"] == {"number": 0}
    assert await check_claims(two_releases) == {}


async def test_an_old_release_works_on_a_newer_schema_and_while_that_is_made(two_releases: Stack) -> None:
    async with two_releases.sql() as record:
        try:
            async with _under_load(two_releases) as load:
                await record.execute("set lock_timeout = '2s'")
                for table in TABLES:
                    await record.execute(
                        f"alter table {table} add column of_the_next text not null default ''"
                    )
                await record.execute("create index concurrently of_the_next on jobs (of_the_next)")
                await record.execute("update alembic_version set version_num = $1", NEXT)
                await load.more(100)
            async with two_releases.another_api() as late, two_releases.client(api=late) as client:
                assert (await client.post("/v1/jobs", json=SUM)).status_code == 202
        finally:
            for table in TABLES:
                await record.execute(f"alter table {table} drop column if exists of_the_next")
            await record.execute("update alembic_version set version_num = $1", NEWEST_REVISION)


@asynccontextmanager
async def _under_load(stack: Stack) -> AsyncIterator[Load]:
    """Submit and run jobs during the block; then check that each ran once and that nobody logged anything."""
    said = {each.log: len(each.log.read_text()) for each in stack.apis + stack.consumers}
    load = Load(stack)
    async with load.running():
        await load.more(100)
        yield load
    await load.check()
    assert (load.refused, load.unknown) == ([], 0)
    news = "".join(log.read_text()[start:] for log, start in said.items())
    assert re.findall(r'"level":"(?:WARNING|ERROR)".*?"message":"(.*?)"', news) == []
    assert await check_claims(stack) == {}


async def _finds(record: asyncpg.Connection[asyncpg.Record], query: str, wanted: int) -> bool:
    return bool(await record.fetchval(query) == wanted)


async def test_a_job_waits_for_its_version_and_an_older_one_for_no_longer_than_its_consumers_live(
    two_releases: Stack,
) -> None:
    newer = two_releases.add_api(handlers=NEWER)
    await newer.ready()
    async with (
        two_releases.client(api=newer) as client,
        two_releases.client(api=two_releases.apis[1]) as old,
    ):
        ids = [(await client.post("/v1/jobs", json=SUM)).json()["id"]]
        ids += [(await old.post("/v1/jobs", json=SUM)).json()["id"]]
        await two_releases.finished(ids[1:])
        for consumer in two_releases.consumers:
            consumer.stop()
        ids += [(await old.post("/v1/jobs", json=SUM)).json()["id"]]
        await two_releases.add_consumer(handlers=NEWER).ready()
        await two_releases.finished(ids)
        results = [(await client.get(f"/v1/jobs/{each}")).json()["result"]["total"] for each in ids]
        assert results == [6 + NEWER_BY, 6, 6 + NEWER_BY]
    assert await check_claims(two_releases) == {}
