"""What statements cost: each goes by an index whatever the tables hold, and what a running job does stays in its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.migrations.plain_sql import VERSIONS
from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.postgres.verifier import PostgresVerifier
from sluice.core.lanes import PRIORITIES, WEIGHTS
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_jobs
from tests.support.servers import sql_session

LARGE = {
    "jobs",
    "inputs",
    "outbox",
    "attempts",
    "idempotency_keys",
    "logs",
    "batches",
    "audit",
    "api_keys",
    "bulk_acts",
}
"""Tables that may be very large."""
SHORT_WALKS = {
    ("count_lanes", "outbox_pkey"), ("look", "jobs_waiting"), ("find_unserved", "jobs_waiting"), ("look", "audit_pkey"),
    ("prune_audit", "audit_pkey"),
}  # fmt: skip
"""Statements that walk along an index, and end after so many rows."""
BY_COMMAND = {"list_api_keys", "count_peppers"}
"""What an operator lists whole."""
JOINED = {"settle", "settle_logged", "store_progress", "rescue"}
"""Statements that are given jobs with values for each. To name the ids once more would cost each job that ends a quarter more: they go
by a key again as soon as a vacuum has seen the first rows."""
DUE = """
insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, run_at, deadline)
select gen_random_uuid(), 't' || n % $1::int, 'k', 'default', 'normal', 'scheduled', '', 1, 60, now(), now() from generate_series(1, 60000) as n"""
OPEN = """
insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at)
select gen_random_uuid(), 't' || n % $1::int, 'k', 'default', 'normal', 'queued', '', 1, 60, now() from generate_series(1, 6000) as n"""
FINISHED = """
insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at, finished_at, expires_at, result)
select gen_random_uuid(), 't' || n % $1::int, 'k', 'default', 'normal', 'succeeded', '', 1, 60, now(), now(), now(), '1'
from generate_series(1, 12000) as n"""
REST = """
insert into inputs (id, input) select id, '1' from jobs;
insert into outbox (lane, priority, ids, due) select lane, priority, array[id], now() from jobs;
insert into attempts (job_id, fence, attempt, outcome) select id, 1, 1, 'x' from jobs;
insert into logs (job_id, fence, first, lines) select id, 1, 1, 'x' from jobs;
insert into idempotency_keys (tenant, key, request_hash, job_id) select tenant, id::text, 'h', id from jobs;
insert into batches (id, tenant, key, items) select id, tenant, id::text, array[id] from jobs;
insert into audit (tenant, action, object) select tenant, 'x', 'x' from jobs;
insert into bulk_acts (id, tenant, key, act, filter, canary, rate, most_failed, state, next_at, keep_s, expires_at)
select id, tenant, id::text, 'cancel', '{}', 0, 1, 0, 'running', now(), 1, now() from jobs;
insert into api_keys (key_id, tenant, scopes, secret_hmac) select id::text, tenant, '{}', 'h' from jobs;
vacuum analyze jobs, inputs, outbox, attempts, idempotency_keys, logs, batches, audit, api_keys, bulk_acts"""


OTHERS = """
insert into jobs (id, tenant, kind, handler_version, lane, priority, state, input, max_attempts, keep_s, queued_at, offered_until)
select gen_random_uuid(), 'others', $1, $2, $3, 'high', 'queued', '', 1, 60, now() - interval '1 hour', now() - interval '1 hour'
from generate_series(1, 10000)"""
"""Ten thousand jobs that are older than all others."""


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
    return any(f"{name} Cond" in scan for name in ("Index", "Recheck", "TID"))


async def walking(record: Record) -> dict[str, str]:
    """Return the statements that read a large table from end to end, and how."""
    return {
        name: f"{scan['Node Type']} {scan.get('Index Name')} {scan.get('Filter')}"
        for name, statement in load_queries().items()
        if name not in BY_COMMAND
        for scan in scans(await plan_of(record.sql, name, statement))
        if not is_by_key(scan) and (name, scan.get("Index Name")) not in SHORT_WALKS
    }


@pytest.mark.parametrize("seen_empty", [False, True])
async def test_no_statement_reads_a_large_table_from_end_to_end_when_planned_while_all_are_empty(
    record: Record, seen_empty: bool
) -> None:
    async with (
        record.sql.transaction()
    ):  # tables that no vacuum has ever seen, and without statistics, as at the first start
        await record.sql.execute("create schema first_start; set local search_path = first_start")
        await record.sql.execute("create table alembic_version (version_num text)")
        for migration in sorted(VERSIONS.glob("*.sql")):
            await record.sql.execute(migration.read_text())
        if seen_empty:  # by a vacuum, before the first job came
            await record.sql.execute(f"analyze {', '.join(LARGE)}")
        assert (await walking(record)).keys() <= (JOINED if seen_empty else set())
        await record.sql.execute("drop schema first_start cascade")


async def fill(record: Record, tenants: int = 9, holding: Sequence[str] = (OPEN, FINISHED)) -> None:
    """Fill the tables, with statistics of what they hold."""
    for jobs in holding:
        await record.sql.execute(jobs, tenants)
    for statement in REST.split(";"):
        await record.sql.execute(statement)


@pytest.mark.parametrize("tenants", [1, 9])
@pytest.mark.parametrize(
    "holding", [(OPEN, FINISHED), (OPEN,), (FINISHED,), (DUE,)], ids=["all", "open", "finished", "due"]
)
async def test_no_statement_reads_a_large_table_from_end_to_end_when_planned_while_they_are_large(
    record: Record, tenants: int, holding: Sequence[str]
) -> None:
    await fill(record, tenants, holding)
    assert await walking(record) == {}


def test_a_change_of_as_many_rows_as_are_asked_for_names_them_by_an_array() -> None:
    """A tenth of all that match is what the planner takes a limit for: so many are joined by reading the whole table, too."""
    join = re.compile(
        r"\b(update|delete from) \w+[^()]*?\b(from|using) (\w+)\s+where [^()]*= \3\.(?![^;]*?any\(array)"
    )
    joining = [name for name, text in load_queries().items() if "limit $" in text and join.search(text)]
    assert joining == []


async def test_no_check_of_a_keeper_reads_all_that_has_finished(record: Record) -> None:
    await fill(record)
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
    claims = zip(*(job.claim for job in jobs), strict=True)
    assert await hot(record, "store_progress", *claims, [b"1"] * 5) == (5, 5)


async def test_a_poll_touches_no_index(record: Record) -> None:
    await record.accepted(*new_jobs(5))
    assert await hot(record, "poll", *poll_values(record)) == (5, 5)


def poll_values(record: Record) -> tuple[object, ...]:
    """Return what a consumer with ten free slots polls with."""
    known = ([*KINDS], 1.0, [*KINDS.values()])
    return (
        ["default"],
        record.owner.id,
        *known,
        10,
        [*PRIORITIES],
        [*WEIGHTS.values()],
        [0] * len(PRIORITIES),
    )


async def rows_read(record: Record, statement: str, *values: object) -> float:
    """Run it; how many living rows of large tables it reads, with statistics from when the tables were empty."""
    text = f"explain (analyze, format json) {load_queries()[statement]}"
    (plan,) = json.loads(await record.sql.fetchval(text, *values))
    counted = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows = [scan["Actual Loops"] * sum(scan.get(name, 0) for name in counted) for scan in scans(plan["Plan"])]
    return float(sum(rows))


@pytest.mark.parametrize(
    "foreign", [("their.kind", 1, "default"), ("demo.sum", 2, "default"), ("demo.sum", 1, "heavy")]
)
async def test_a_poll_does_not_read_what_it_may_not_run(
    record: Record, foreign: tuple[str, int, str]
) -> None:
    await record.sql.execute("; ".join(f"set {key} = '{value}'" for key, value in SETTINGS.items()))
    await record.sql.execute("vacuum analyze jobs")
    await record.accepted(*new_jobs(100, priority="high"), *new_jobs(100))
    lane_claims = (["default"], record.owner.id, [*KINDS], 20_000, [*KINDS.values()])
    statements = {"poll": poll_values(record), "recover_lane_claims": lane_claims}
    alone = {name: await rows_read(record, name, *values) for name, values in statements.items()}
    await record.sql.execute(OTHERS, *foreign)
    for name, values in statements.items():
        assert await rows_read(record, name, *values) < alone[name] + 100


async def test_a_poll_reads_no_backlog_where_statistics_say_that_there_is_none(
    record: Record, servers: Servers
) -> None:
    """A transaction that stays open keeps dead rows: the pages count, and no living row in them, so that a sort seems free."""
    for jobs in (OPEN, FINISHED):
        await record.sql.execute(jobs, 1)
    async with sql_session(servers.postgres.url) as other, other.transaction(isolation="repeatable_read"):
        await other.execute("select from jobs limit 1")
        await record.sql.execute("vacuum analyze jobs")
        await record.sql.execute("delete from jobs")
        await record.sql.execute("vacuum analyze jobs")
    await record.sql.execute("; ".join(f"set {key} = '{value}'" for key, value in SETTINGS.items()))
    await record.accepted(*new_jobs(100, priority="high"), *new_jobs(100))
    await record.sql.execute(OTHERS, "their.kind", 1, "default")
    assert await rows_read(record, "poll", *poll_values(record)) < 200


async def test_an_explanation_reads_no_more_of_a_backlog_than_it_counts(record: Record) -> None:
    await record.sql.execute("; ".join(f"set {key} = '{value}'" for key, value in SETTINGS.items()))
    await record.sql.execute("vacuum analyze jobs")
    (job_id,) = await record.accepted(*new_jobs(1, priority="high"))
    await record.sql.execute(OTHERS, "demo.sum", 1, "default")
    assert 1_000 <= await rows_read(record, "find_situation", "acme", job_id, 1_000, 50) < 1_050


async def test_a_look_for_the_jobs_of_the_dead_reads_nothing_that_is_scheduled(record: Record) -> None:
    await record.accepted(*new_jobs(10))
    await record.sql.execute(DUE, 9)
    await record.sql.execute("; ".join(f"set {key} = '{value}'" for key, value in SETTINGS.items()))
    assert await rows_read(record, "find_held_jobs", [], False) == 10


async def test_a_renewed_lease_touches_no_index(record: Record) -> None:
    values = (record.owner.id, 60.0, "{}")
    assert await hot(record, "renew_lease", *values, table="consumers") == (1, 1)
