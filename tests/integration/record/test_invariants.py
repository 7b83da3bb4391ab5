"""Verification: what is made wrong by hand is found, each kind by its own check, and what is right is left alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.verifier import PostgresVerifier, load_checks
from sluice.core.errors import ServerAway, ServerUnfit, TryAgain
from sluice.core.lifecycle import LOST_LIMIT, Failure, crashed, failed, postponed, retried, succeeded
from sluice.core.ports import Finding, Verifier
from tests.integration.record.record_fixture import Record
from tests.integration.test_http import sluice
from tests.support.leases import new_owner
from tests.support.make_jobs import aged_id, new_job, new_jobs
from tests.support.servers import frozen

LONG_AGO = "now() - interval '1 hour'"
WITHOUT_GUARDS = """
alter table jobs disable trigger all, drop constraint running_has_owner, drop constraint terminal_is_finished,
    drop constraint finished_expires, drop constraint scheduled_has_time, drop constraint waiting_was_queued,
    drop constraint success_has_result, drop constraint cancelled_was_asked_for, drop constraint ending_obeys_cancel,
    drop constraint jobs_state_check, drop constraint jobs_priority_check;
drop index jobs_flight, jobs_retry;
"""
GUARDS = {
    "jobs_priority_check", "jobs_state_check", "running_has_owner",
    "terminal_is_finished", "finished_expires", "scheduled_has_time",
    "waiting_was_queued", "success_has_result", "cancelled_was_asked_for",
    "ending_obeys_cancel", "jobs_flight", "jobs_retry", "jobs_history", "jobs_endings",
}  # fmt: skip

SET = "update jobs set {} where id = $1"
LEASE = "update consumers set lease_until = {} where id = (select owner from jobs where id = $1)"
OUTBOX = "update outbox set due = {} where $1::uuid = any(ids)"
ATTEMPT = "insert into attempts (job_id, fence, attempt, outcome) values ($1, {}, 1, 'x')"
AGAIN = """with offered as (update jobs set offered_until = now() + interval '60 seconds' - interval '{} seconds' where id = $1)
insert into outbox (lane, priority, ids, due) select 'default', 'normal', array[$1::uuid], now() from generate_series(1, {})"""
LOST_KEY = """insert into idempotency_keys (tenant, key, request_hash, job_id)
select 't', 'k', '', '{}'::uuid where $1::uuid is not null"""
ACT = """insert into bulk_acts (id, tenant, act, filter, canary, rate, most_failed, keep_s, state, next_at, moved_at, expires_at)
values ($1, 'acme', 'cancel', '{}', 0, 1, 0, 60, 'running', now() - interval '1 hour', now() - interval '1 hour', now())"""
HOOK = """with hook as (insert into webhook_endpoints (id, tenant, url, events, disabled_at) values (gen_random_uuid(), 'acme', 'https://x/', '{{}}', {0}) returning id)
insert into webhook_deliveries (id, endpoint, tenant, event, body, due) select $1, hook.id, 'acme', 'webhook.test', '', now() - interval '1 hour' from hook"""
TWICE = """insert into webhook_deliveries (id, endpoint, tenant, job_id, event, body, due, done_at)
select gen_random_uuid(), $1, 'acme', $1, 'job.failed', '', case n when 1 then now() end, case n when 2 then now() end
from generate_series(1, 2) as n"""
ENDING = """insert into endings (listener, id, tenant, kind, lane, priority, state, version, fence, attempt, max_attempts, crash_count, solo_crashes,
created_at, finished_at) select '{}', id, tenant, kind, lane, priority, state, version, fence, attempt, max_attempts, crash_count, solo_crashes,
created_at, now() - interval '{} minutes' from jobs where id = $1"""
KEY = "insert into idempotency_keys (tenant, key, request_hash, job_id) values ('{}', 'k', '', $1)"
CORRUPTIONS: Sequence[tuple[str, str, str]] = [
    ("abandoned_claims", "running", LEASE.format(LONG_AGO)),
    ("abandoned_claims", "running", SET.format("owner = gen_random_uuid()")),
    ("missing_inputs", "queued", SET.format("input = null")),
    ("missing_inputs", "failed", "delete from inputs where id = $1"),
    ("unserved_jobs", "queued", SET.format(f"queued_at = {LONG_AGO}, kind = 'strange'")),
    ("unserved_jobs", "queued", SET.format(f"queued_at = {LONG_AGO}, lane = 'gone'")),
    ("unserved_jobs", "queued", SET.format(f"queued_at = {LONG_AGO}, handler_version = 2")),
    ("double_offers", "queued", AGAIN.format(122, 1)),
    ("double_offers", "queued", AGAIN.format(5, 4)),
    ("lost_keys", "queued", LOST_KEY.format(aged_id(3_700))),
    ("overtaken_jobs", "queued", SET.format(f"offered_until = {LONG_AGO}")),
    ("late_schedules", "scheduled", SET.format(f"run_at = {LONG_AGO}")),
    ("passed_deadlines", "queued", SET.format(f"deadline = {LONG_AGO}")),
    ("late_messages", "queued", OUTBOX.format(LONG_AGO)),
    ("false_endings", "succeeded", SET.format("error = ''")),
    ("false_endings", "failed", SET.format("error = null")),
    ("attempts_ahead", "succeeded", ATTEMPT.format(2)),
    ("unexplained_claims", "succeeded", SET.format("fence = 2, version = version + 1")),
    ("unexplained_claims", "succeeded", ATTEMPT.format(1)),
    ("unexplained_claims", "succeeded", "update jobs set fence = 0, attempt = 0 where id = $1"),
    ("unexplained_claims", "failed", "delete from attempts where job_id = $1"),
    ("unexplained_claims", "running", SET.format("fence = 2, version = 3")),
    ("unexplained_claims", "queued", SET.format("fence = 1, version = 2")),
    ("unexplained_claims", "cancelled", SET.format("fence = 2, version = 9")),
    ("foreign_keys", "queued", KEY.format("a stranger")),
    ("false_retries", "queued", "update jobs set retry_of = $1 where state = 'scheduled'"),
    ("too_many_attempts", "running", SET.format("max_attempts = 0")),
    ("too_many_attempts", "queued", SET.format("attempt = 1")),
    ("too_many_attempts", "queued", SET.format("attempt = -1")),
    ("endless_crashes", "queued", SET.format("solo_crashes = 3, crash_count = 3")),
    ("endless_crashes", "queued", SET.format("solo_crashes = 2, crash_count = 12")),
    ("endless_crashes", "queued", SET.format("solo_crashes = 1")),
    ("stuck_bulk_acts", "queued", ACT),
    ("late_deliveries", "queued", HOOK.format("null")),
    ("homeless_deliveries", "queued", HOOK.format("now()")),
    ("double_deliveries", "failed", TWICE),
    ("untold_endings", "failed", ENDING.format("webhooks", 11)),
    ("untold_endings", "failed", ENDING.format("events", 71)),
    ("versions_behind", "running", SET.format("version = 1")),
]  # fmt: skip

FORBIDDEN = [
    ("running", "owner = null"), ("queued", "owner = gen_random_uuid()"), ("queued", "queued_at = null"),
    ("scheduled", "run_at = null"), ("scheduled", "queued_at = now()"), ("queued", "state = 'dreaming'"),
    ("queued", "priority = 'urgent'"), ("queued", "finished_at = now()"), ("running", "expires_at = now()"),
    ("running", "state = 'succeeded', owner = null, finished_at = now(), expires_at = now()"),
    ("running", "state = 'cancelled', owner = null, finished_at = now(), expires_at = now()"),
    ("running", "state = 'failed', owner = null, finished_at = now(), expires_at = now(), cancel_requested_at = now()"),
]  # fmt: skip


SET_FOR_A_LOOK = (
    "transaction_read_only",
    "enable_seqscan",
    "enable_bitmapscan",
    "plan_cache_mode",
    "statement_timeout",
)


@pytest.fixture
def verifier(record: Record, servers: Servers) -> PostgresVerifier:
    impatient = PostgresVerifier(servers.postgres.url, record.settings)
    impatient._patience_s = 0.001  # PostgreSQL may have started a moment ago
    return impatient


async def found(
    verifier: PostgresVerifier, sql: asyncpg.Connection, newest: int | None = None
) -> dict[str, Any]:
    """What is wrong, by check, as somebody sees it over this connection."""
    findings = [await verifier.run(sql, check, newest, 10) for check in verifier.checks.values()]
    assert len({each.check for each in findings}) == len(load_checks())
    return {each.check: each for each in findings if each.offenders}


async def violated(verifier: Verifier, newest: int) -> list[Finding]:
    """What a keeper finds wrong."""
    return [each for each in await verifier.verify(newest) or () if each.offenders]


@pytest.fixture
async def jobs(record: Record) -> dict[str, str]:
    """A job in every state, by way of the product's own statements; what was published has left the outbox."""
    why = Failure("handler-error", "no", retryable=True)
    await new_owner(record.sql, kinds=["demo.sum"])
    ids = {}
    for state in ("succeeded", "failed", "cancelled", "running"):
        job = await record.claimed(input=b'"%0300d"' % 0)
        ids[state] = job.id
        if state == "cancelled":
            await record.ask_to_cancel(job.id)
        ending = succeeded(job, b"{}") if state in ("succeeded", "cancelled") else failed(job, why)
        if state != "running":
            await record.store.settle([ending])
    await record.empty_outbox()
    (ids["queued"],) = await record.accepted()
    (ids["scheduled"],) = await record.accepted(new_job(delay_s=100.0))
    return ids


async def test_every_check_says_what_it_means_and_what_to_do() -> None:
    for check in load_checks().values():
        assert check.means.endswith("."), check.name
        assert check.do.endswith("."), check.name
        assert "--" not in check.sql, check.name


def test_every_check_has_a_corruption_that_it_alone_can_find() -> None:
    assert {check for check, _, _ in CORRUPTIONS} | {"weakened_schema"} == set(load_checks())


@pytest.mark.parametrize(("check", "state", "damage"), CORRUPTIONS)
async def test_what_was_made_wrong_by_hand_is_found(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str], check: str, state: str, damage: str
) -> None:
    async with Undone(record.sql):
        await record.sql.execute(WITHOUT_GUARDS)
        await record.sql.execute(damage, jobs[state])
        wrong, lately = [await found(verifier, record.sql, newest) for newest in (None, 100)]
    assert set(wrong) == set(lately) == {check, "weakened_schema"}
    assert wrong[check].offenders == lately[check].offenders == 1
    if check not in ("late_messages", "foreign_keys", "false_retries", "lost_keys"):
        assert wrong[check].samples[0].startswith(jobs[state])


class Undone:
    """A transaction that is taken back, so that whatever is done to the schema in it is not done to other tests."""

    def __init__(self, sql: asyncpg.Connection) -> None:
        self._transaction = sql.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()


async def test_every_guard_that_was_taken_away_is_named(record: Record, verifier: PostgresVerifier) -> None:
    check = verifier.checks["weakened_schema"]
    async with Undone(record.sql):
        await record.sql.execute(WITHOUT_GUARDS)
        finding = await verifier.run(record.sql, check, None, 10)
    assert finding.offenders == len(GUARDS)
    assert set(finding.samples) < GUARDS
    assert (await verifier.run(record.sql, check, None, 10)).offenders == 0


@pytest.mark.parametrize(("state", "change"), FORBIDDEN)
async def test_what_has_no_check_of_its_own_is_refused(
    record: Record, jobs: Mapping[str, str], state: str, change: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await record.change(jobs[state], change)


async def test_a_constraint_that_was_never_validated_does_not_count(
    record: Record, verifier: PostgresVerifier
) -> None:
    async with Undone(record.sql):
        await record.sql.execute("alter table jobs drop constraint finished_expires")
        await record.sql.execute(
            "alter table jobs add constraint finished_expires check ((finished_at is null) = (expires_at is null)) not valid"
        )
        wrong = await found(verifier, record.sql)
    assert wrong["weakened_schema"].samples == ("finished_expires",)


async def test_whatever_the_product_does_is_right(record: Record, verifier: PostgresVerifier) -> None:
    why = Failure("handler-error", "no", retryable=True)
    done = [
        await record.claimed(new_job(fingerprint=b"f%d" % n, flight=True, input=b'"%0300d"' % n))
        for n in range(9)
    ]
    await record.ask_to_cancel(done[8].id)
    await record.store.settle(
        [
            succeeded(done[0], b"{}"),
            succeeded(done[8], b"{}"),
            failed(done[1], why),
            retried(done[2], why, 100),
            postponed(done[3], 100),
            crashed(done[4], why),
        ]
    )
    await record.give_back(done[5])
    await record.expire(done[6].id, done[7].id)
    await record.ask_to_cancel(done[7].id)
    assert len(await record.rescue()) == 2
    await record.accepted(new_job(key="k", request_hash=b"h"), *new_jobs(3), new_job(delay_s=50.0))
    (overdue,) = await record.accepted(new_job(deadline_s=0.0))
    assert len(await record.store.defer_unclaimed([overdue], {"demo.sum": 1})) == 1
    (unbegun,) = await record.accepted()
    assert await record.control.cancel("acme", unbegun)
    assert await record.control.retry("acme", done[1].id, new_job().id)
    for _ in range(LOST_LIMIT - 1):
        again = await record.claim(done[6].id)
        await record.expire(again.id)
        await record.rescue()
    assert await record.state(done[6].id) == "failed"
    assert await found(verifier, record.sql) == {}
    assert await record.control.delete_job("acme", done[6].id)
    assert await violated(verifier, 100) == []


async def test_what_has_just_become_late_is_given_time(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    up_s = await record.sql.fetchval(
        "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8"
    )
    verifier._patience_s = up_s - 1
    just = "now() - interval '0.5 seconds'"
    await record.sql.execute(LEASE.format(just), jobs["running"])
    await record.change(jobs["scheduled"], f"run_at = {just}")
    await record.change(jobs["queued"], f"deadline = {just}, queued_at = now() - interval '9 minutes'")
    await record.sql.execute(f"update outbox set due = {just}")  # noqa: S608  of the test
    assert await found(verifier, record.sql) == {}


async def test_a_job_that_somebody_serves_may_wait_for_long(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    no_kinds = "update consumers set kinds = '{}', versions = '{}' where id = $1"
    await record.sql.execute(no_kinds, record.owner.id)  # what it runs is not abandoned
    await record.change(jobs["queued"], f"queued_at = {LONG_AGO}")
    assert await found(verifier, record.sql) == {}
    await record.sql.execute("update consumers set lease_until = now() where kinds <> '{}'")
    assert set(await found(verifier, record.sql)) == {"unserved_jobs"}
    await record.change(jobs["queued"], f"offered_until = {LONG_AGO}")
    assert set(await found(verifier, record.sql)) == {"unserved_jobs"}, "nobody was to offer it again"
    await record.change(jobs["queued"], "offered_until = now() + interval '1 hour'")
    await record.sql.execute("insert into lanes (name, paused_at) select lane, now() from jobs limit 1")
    assert await found(verifier, record.sql) == {}, "it waits for an operator"
    await record.sql.execute("delete from lanes")
    verifier._patience_s = 86_400  # its consumer may be back in a moment
    assert await found(verifier, record.sql) == {}


async def test_an_offer_may_be_made_while_the_message_of_the_last_one_is_on_its_way(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    await record.sql.execute(AGAIN.format(118, 3), jobs["queued"])
    assert await found(verifier, record.sql) == {}
    await record.sql.execute(AGAIN.format(122, 1), jobs["queued"])
    assert set(await found(verifier, record.sql)) == {"double_offers"}
    await record.sql.execute(OUTBOX.format(LONG_AGO), jobs["queued"])  # RabbitMQ is away
    assert set(await found(verifier, record.sql)) == {"late_messages"}


async def test_a_key_whose_request_died_before_its_job_came_is_found_after_an_hour(
    record: Record, verifier: PostgresVerifier
) -> None:
    shared = {"fingerprint": b"f" * 32, "flight": True, "request_hash": b"h"}
    young, old = (new_job(id=aged_id(age), key=f"k{age}", **shared) for age in (3_500, 3_700))
    await record.accepted(new_job(**shared))
    assert (await record.store.accept([young, old])).ids == set()
    assert (await found(verifier, record.sql, 100))["lost_keys"].samples == ("acme k3700",)
    await record.sql.execute("update idempotency_keys set job_id = '00000000-0000-0000-0000-000000000000'")
    assert await found(verifier, record.sql) == {}


async def test_nobody_could_rescue_while_postgresql_was_away(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    await record.sql.execute(LEASE.format("now() - interval '2 days'"), jobs["running"])
    verifier._patience_s = 86_400
    assert await found(verifier, record.sql) == {}
    verifier._patience_s = 0.001
    assert set(await found(verifier, record.sql)) == {"abandoned_claims"}


async def test_what_waits_in_a_paused_lane_is_not_overtaken(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    await record.change(jobs["queued"], f"offered_until = {LONG_AGO}")
    assert set(await found(verifier, record.sql)) == {"overtaken_jobs"}
    await record.sql.execute("insert into lanes (name, paused_at) values ('default', now())")
    assert await found(verifier, record.sql) == {}


async def test_only_the_newest_jobs_are_looked_at_where_so_many_are_asked_for(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    async with Undone(record.sql):
        await record.sql.execute(WITHOUT_GUARDS)
        await record.change(jobs["succeeded"], "error = ''")
        assert "false_endings" in await found(verifier, record.sql, 6)
        assert "false_endings" not in await found(verifier, record.sql, 5)


async def test_nothing_can_be_written_while_looking(verifier: PostgresVerifier) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with verifier._session() as connection, verifier._reading(connection, 1):
            await connection.execute("delete from jobs")


async def test_a_look_leaves_a_session_as_it_was(verifier: PostgresVerifier) -> None:
    """Behind a pooler in transaction mode it is the next one of somebody who writes."""
    async with verifier._session() as connection:
        async with verifier._reading(connection, 7):
            inside = [await connection.fetchval(f"show {name}") for name in SET_FOR_A_LOOK]
        outside = [await connection.fetchval(f"show {name}") for name in SET_FOR_A_LOOK]
    assert inside == ["on", "on", "on", "auto", "7s"]
    assert outside == ["off", "off", "off", "force_generic_plan", "5s"]


async def test_a_check_that_takes_too_long_asks_to_try_again(
    verifier: PostgresVerifier, record: Record
) -> None:
    slow = verifier.checks["late_messages"]._replace(sql="select pg_sleep(60)::text")
    with pytest.raises(TryAgain):
        async with verifier._session() as connection, verifier._reading(connection, 0.1):
            await verifier.run(connection, slow, None, 0.1)


async def test_a_frozen_server_is_away_in_time(verifier: PostgresVerifier, servers: Servers) -> None:
    async with verifier._session() as connection:
        with frozen(servers.postgres), pytest.raises(ServerAway):
            await verifier.run(connection, verifier.checks["late_messages"], None, 0.1)


async def test_a_record_without_tables_names_the_remedy(record: Record, servers: Servers) -> None:
    await record.sql.execute("create database bare")
    try:
        bare = PostgresVerifier(servers.postgres.url.removesuffix("sluice") + "bare", record.settings)
        with pytest.raises(ServerUnfit, match="run sluice migrate"):
            await bare.verify(10)
    finally:
        await record.sql.execute("drop database bare with (force)")


async def test_the_command_tells_by_its_exit_status(
    record: Record, servers: Servers, jobs: Mapping[str, str]
) -> None:
    status, out, err = await sluice(servers, "verify", "--json")
    assert (status, err) == (0, "")
    assert {each["check"]: each["count"] for each in json.loads(out)} == dict.fromkeys(load_checks(), 0)
    await record.change(jobs["running"], "max_attempts = 0")
    status, out, err = await sluice(servers, "verify", "--newest", "10")
    assert (status, err) == (1, "")
    assert f"{len(load_checks())} invariants, 1 violated" in out
    assert jobs["running"] in out
    assert "Do: set attempt to max_attempts" in out


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SLUICE_POSTGRES_URL": "postgresql://x:y@127.0.0.1:1/z"}, "could not ask: postgresql"),
        ({"SLUICE_LEASE_S": "long"}, "could not ask: SLUICE_LEASE_S"),
    ],
)
async def test_a_record_that_cannot_be_asked_is_another_exit_status(
    servers: Servers, settings: dict[str, str], words: str
) -> None:
    status, out, err = await sluice(servers, "verify", **settings)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert words in err


async def test_of_attempts_that_do_not_count_those_of_the_last_hundred_claims_are_kept(
    record: Record, verifier: PostgresVerifier
) -> None:
    job = await record.claimed()
    await record.sql.execute(
        "insert into attempts (job_id, fence, attempt, outcome)"
        " select $1, n, 1, case n when 3 then 'handler-error' else 'postponed' end from generate_series(1, 150) as n",
        job.id,
    )
    await record.change(job.id, "fence = 151, version = 152")
    await record.store.settle([postponed(job._replace(fence=151), 30)])
    assert [row["fence"] for row in await record.attempts(job.id)] == [3, *range(52, 152)]
    assert await violated(verifier, 100) == []


async def test_an_endpoint_that_takes_its_time_may_have_a_backlog(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    await record.sql.execute(HOOK.format("null"), jobs["queued"])
    assert set(await found(verifier, record.sql, 100)) == {"late_deliveries"}
    another = """insert into webhook_deliveries (id, endpoint, tenant, event, body, created_at, tried_at, done_at)
    select $1, endpoint, tenant, event, body, due - interval '1 day', now() - interval '9 minutes', now() from webhook_deliveries"""
    await record.sql.execute(another, jobs["failed"])
    assert await found(verifier, record.sql, 100) == {}
    await record.sql.execute("update webhook_deliveries set tried_at = now() - interval '11 minutes'")
    assert set(await found(verifier, record.sql, 100)) == {"late_deliveries"}


async def test_endings_are_given_time_and_so_is_a_fleet_that_has_stopped_telling_events(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    await record.sql.execute(ENDING.format("webhooks", 9), jobs["failed"])
    await record.sql.execute(ENDING.format("events", 69), jobs["failed"])
    assert await found(verifier, record.sql) == {}
    await record.sql.execute("update endings set finished_at = finished_at - interval '2 minutes'")
    wrong = await found(verifier, record.sql)
    assert set(wrong) == {"untold_endings"}
    assert set(wrong["untold_endings"].samples) == {
        f"{jobs['failed']} for {name}" for name in ("events", "webhooks")
    }
    await record.sql.execute(
        "update consumers set lease_until = now() - interval '1 hour' where kinds <> '{}'"
    )
    assert "untold_endings" not in await found(verifier, record.sql), "nobody lives who could"


async def test_a_job_of_which_two_endpoints_are_told_is_told_once_to_each(
    record: Record, verifier: PostgresVerifier, jobs: Mapping[str, str]
) -> None:
    await record.sql.execute(TWICE, jobs["failed"])
    await record.sql.execute("update webhook_deliveries set endpoint = id")
    assert await found(verifier, record.sql) == {}
    await record.sql.execute("update webhook_deliveries set endpoint = $1, job_id = null", jobs["failed"])
    assert await found(verifier, record.sql) == {}, "tests tell of no job"
