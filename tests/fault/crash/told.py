"""What is told of jobs while processes die: every ending by a webhook and an event, and every bulk act does its work once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.told import until_told
from tests.fault.chaos.told_checker import TO_CANCEL, Told, ToldRow, judge_told
from tests.fault.chaos.told_subscriber import subscribed
from tests.fault.crash.scenario import TOLD
from tests.support.stack import Stack
from tests.support.webhook_receiver import webhook_receiver

TENANT = "demo"
WITHIN_S = 60.0
_ROWS = """
    select id::text, state, version, tags, extract(epoch from finished_at)::float8 from jobs where tags = any($1::text[])"""
_ACTS = """
    select case when bool_and(state = 'finished') then 'finished' end as state, sum(changed)::int as changed from bulk_acts"""


@asynccontextmanager
async def told_of_jobs(stack: Stack) -> AsyncIterator[Callable[[], Awaitable[Violations]]]:
    """Listen for the block; what it yields waits until all was told, and returns what was violated."""
    async with webhook_receiver() as receiver, subscribed(stack.servers.rabbitmq.url, TENANT) as subscriber:
        async with stack.client() as client:
            made = await client.post("/v1/webhooks", json={"url": receiver.url, "tags": [TOLD, TO_CANCEL]})
        assert made.status_code == 201, made.text

        async def judge() -> Violations:
            await until_told(stack.servers.postgres.url, WITHIN_S)
            async with stack.sql() as sql:
                rows = [ToldRow(*row) for row in await sql.fetch(_ROWS, [TOLD, TO_CANCEL])]
                acts = dict(await sql.fetchrow(_ACTS) or {})
            ours = {row.id for row in rows}
            heard = [each for each in subscriber.heard if each.job_id in ours]
            violations = Violations()
            judge_told(Told(rows, receiver.received, heard, acts, made.json()["secret"]), violations)
            return violations

        yield judge
