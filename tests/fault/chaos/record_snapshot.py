"""What the record and the ledger hold after a run; `checker` compares it with the clients' log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import orjson

from infra.local.servers import Servers
from tests.support.servers import sql_session

_JOBS = """
    select id::text, tenant, kind, state, fence, crash_count, solo_crashes, result, error,
           coalesce(input, (select long.input from inputs as long where long.id = jobs.id)) as input,
           extract(epoch from created_at)::float8 as created, extract(epoch from finished_at)::float8 as finished
    from jobs order by created_at"""
_ATTEMPTS = """
    select job_id::text, fence, outcome, pid, extract(epoch from attempts.finished_at)::float8 as at
    from attempts left join leases_taken on leases_taken.id = attempts.owner order by job_id, fence"""
_NOTE_LEASES = """
    create table if not exists leases_taken (id uuid, pid int);
    create or replace rule note_lease as on insert to consumers do also insert into leases_taken values (new.id, new.pid)"""
_FORGET_LEASES = "drop rule if exists note_lease on consumers; drop table if exists leases_taken"
_LEFT = "select count(*) from jobs where finished_at is null"


class Row(NamedTuple):
    """A job as the record has it; times are seconds since the epoch."""

    id: str
    tenant: str
    number: int
    kind: str
    state: str
    fence: int
    crashes: int
    solo_crashes: int
    answer: int | None
    answer_fence: int | None
    error: str | None
    created: float
    finished: float | None


class FailedAttempt(NamedTuple):
    """An attempt that did not succeed, and the consumer that was lost with it, if that was the reason."""

    job_id: str
    fence: int
    outcome: str
    pid: int | None
    at: float


class HandlerRun(NamedTuple):
    """A line of the ledger: a handler began under this claim, in the process of this pid."""

    job_id: str
    fence: int
    pid: int = 0


class RecordSnapshot(NamedTuple):
    """The whole of it, and the pids of the hosts that were harmed from outside."""

    rows: list[Row]
    attempts: list[FailedAttempt]
    ledger: list[HandlerRun]
    harmed: frozenset[int] = frozenset()


@asynccontextmanager
async def noted_leases(servers: Servers) -> AsyncIterator[None]:
    """Note whose every lease is during the block: keepers drop those that are over."""
    async with sql_session(servers.postgres.url) as sql:
        await sql.execute(_NOTE_LEASES)
    try:
        yield
    finally:
        async with sql_session(servers.postgres.url) as sql:
            await sql.execute(_FORGET_LEASES)


async def unfinished(url: str) -> int:
    """Return how many jobs are not terminal."""
    async with sql_session(url) as sql:
        return int(await sql.fetchval(_LEFT))


async def read_record(url: str, ledger: Path, harmed: Collection[int] = ()) -> RecordSnapshot:
    """Read the record and the ledger."""
    async with sql_session(url) as sql, sql.transaction():
        rows = [_row(each) async for each in sql.cursor(_JOBS, prefetch=5_000)]
        attempts = [FailedAttempt(*each) async for each in sql.cursor(_ATTEMPTS, prefetch=5_000)]
    return RecordSnapshot(rows, attempts, read_ledger(ledger), frozenset(harmed))


def read_ledger(path: Path) -> list[HandlerRun]:
    """Read the lines of the ledger."""
    if not path.exists():
        return []
    with path.open() as lines:
        return [
            HandlerRun(job_id, int(fence), int(pid)) for job_id, fence, _, pid, *_ in map(str.split, lines)
        ]


def _row(row: asyncpg.Record) -> Row:
    result = orjson.loads(row["result"]) if row["result"] else {}
    return Row(
        id=row["id"],
        tenant=row["tenant"],
        number=orjson.loads(row["input"])["number"],
        kind=row["kind"],
        state=row["state"],
        fence=row["fence"],
        crashes=row["crash_count"],
        solo_crashes=row["solo_crashes"],
        answer=result.get("answer"),
        answer_fence=result.get("fence"),
        error=orjson.loads(row["error"])["type"] if row["error"] else None,
        created=row["created"],
        finished=row["finished"],
    )
