"""What statements cost: each goes by an index whatever the tables hold, and what a running job does stays in its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg

from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.migrations.plain_sql import VERSIONS
from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.postgres.verifier import PostgresVerifier
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import ids_of, new_jobs

LARGE = {"jobs", "inputs", "outbox", "attempts", "idempotency_keys"}
"""Tables that may be very large."""
SHORT_WALKS = {
    ("count_lanes", "outbox_pkey"), ("look", "jobs_waiting"), ("find_unserved", "jobs_waiting"), ("find_unserved", "jobs_parked"),
}  # fmt: skip
"""Statements that walk along an index, and end after so many rows."""
FILL = (
    """insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at)
       select gen_random_uuid(), 't' || n % 9, 'k', 'default', 'normal', 'queued', '', 1, 60, now() from generate_series(1, 6000) as n""",
    """insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at, finished_at, expires_at, result)
       select gen_random_uuid(), 't' || n % 9, 'k', 'default', 'normal', 'succeeded', '', 1, 60, now(), now(), now(), '1'
       from generate_series(1, 12000) as n""",
    "insert into inputs (id, input) select id, '1' from jobs",
    "insert into outbox (lane, priority, ids, due) select lane, priority, array[id], now() from jobs",
    "insert into attempts (job_id, fence, attempt, outcome) select id, 1, 1, 'x' from jobs",
    "insert into idempotency_keys (tenant, key, request_hash, job_id) select tenant, id::text, 'h', id from jobs",
    "analyze",
)


async def plan_of(sql: asyncpg.Connection[asyncpg.Record], name: str, statement: str) -> dict[str, Any]:
    """Return the plan that a process of ours uses, whatever the parameters."""
    await sql.execute("; ".join(f"set {key} = '{value}'" for key, value in SETTINGS.items()))
    await sql.execute(f"prepare {name}_ as {statement}")
    count = max([0, *map(int, re.findall(r"\$(\d+)\b", re.sub("--.*", "", statement)))])
    nulls = f"({', '.join(['null'] * count)})" if count else ""
    (plan,) = json.loads(await sql.fetchval(f"explain (format json) execute {name}_{nulls}"))
    return dict(plan["Plan"])


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node that reads a table."""
    if "Scan" in node["Node Type"] and node.get("Relation Name") in LARGE:
        yield node
    for each in node.get("Plans", ()):
        yield from scans(each)


def is_by_key(scan: dict[str, Any]) -> bool:
    return "Index Cond" in scan or "Recheck Cond" in scan


async def walking(record: Record) -> dict[str, str]:
    """Return the statements that read a large table from end to end, and how."""
    return {
        name: f"{scan['Node Type']} {scan.get('Index Name')} {scan.get('Filter')}"
        for name, statement in load_queries().items()
        for scan in scans(await plan_of(record.sql, name, statement))
        if not is_by_key(scan) and (name, scan.get("Index Name")) not in SHORT_WALKS
    }


async def test_no_statement_reads_a_large_table_from_end_to_end_when_planned_while_all_are_empty(
    record: Record,
) -> None:
    async with (
        record.sql.transaction()
    ):  # tables that no vacuum has ever seen, and without statistics, as at the first start
        await record.sql.execute("create schema first_start; set local search_path = first_start")
        await record.sql.execute("create table alembic_version (version_num text)")
        await record.sql.execute((VERSIONS / "0001_the_record.sql").read_text())
        assert await walking(record) == {}
        await record.sql.execute("drop schema first_start cascade")


async def test_no_statement_reads_a_large_table_from_end_to_end_when_planned_while_they_are_large(
    record: Record,
) -> None:
    for statement in FILL:
        await record.sql.execute(statement)
    assert await walking(record) == {}


async def test_no_check_of_a_keeper_reads_all_that_has_finished(record: Record) -> None:
    for statement in FILL:
        await record.sql.execute(statement)
    await record.sql.execute(
        "set enable_seqscan = off"
    )  # where the table is so small, it would be good enough
    verifier = PostgresVerifier(record.settings.postgres_url.get_secret_value(), record.settings)
    found = []
    for check in verifier.checks.values():
        text = f"explain (format json) {verifier._statement(check, 100)}"
        (plan,) = json.loads(await record.sql.fetchval(text))
        found += [check.name for scan in scans(plan["Plan"]) if reads_all_jobs(scan)]
    assert found == []


def reads_all_jobs(scan: dict[str, Any]) -> bool:
    """Whether finished jobs are among what is read; backward, only the newest are."""
    whole = scan.get("Index Name") in (None, "jobs_pkey") and scan.get("Scan Direction") != "Backward"
    return scan["Relation Name"] == "jobs" and whole and not is_by_key(scan)


async def hot(record: Record, statement: str, *values: object, table: str = "jobs") -> tuple[int, int]:
    """Run it; how many rows it changed, and how many of them without touching an index."""
    async with record.sql.transaction():
        before = await counts(record, table)
        await record.sql.fetch(load_queries()[statement], *values)
        after = await counts(record, table)
    return after[0] - before[0], after[1] - before[1]


async def counts(record: Record, table: str) -> tuple[int, int]:
    """Return how many rows this session has changed, and how many of them without touching an index."""
    row = await record.sql.fetchrow(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables where relname = $1", table
    )
    assert row is not None
    return row[0], row[1]


async def test_a_claim_and_progress_touch_no_index(record: Record) -> None:
    ids = await record.accepted(*new_jobs(5, deadline_s=60, fingerprint=b"f" * 32))
    assert await hot(record, "claim", ids, record.owner.id, [*KINDS], 1.0, [*KINDS.values()]) == (5, 5)
    jobs = await record.store.recover_lost_claims(ids)
    fences = [job.fence for job in jobs]
    assert await hot(record, "store_progress", ids_of(jobs), fences, [b"1"] * 5) == (5, 5)


async def test_a_poll_touches_no_index(record: Record) -> None:
    await record.accepted(*new_jobs(5))
    values = ("default", record.owner.id, [*KINDS], 1.0, [*KINDS.values()], 10, ["normal"], [1], [0])
    assert await hot(record, "poll", *values) == (5, 5)


async def test_a_renewed_lease_touches_no_index(record: Record) -> None:
    values = (record.owner.id, 60.0, "{}")
    assert await hot(record, "renew_lease", *values, table="consumers") == (1, 1)
