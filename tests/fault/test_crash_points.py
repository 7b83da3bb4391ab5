"""At every crash point a process is killed: every promise is kept.

`make crash` freezes it for longer than a lease, and has it meet an error, as well.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.verifier import PostgresVerifier
from sluice.core.ports import Finding
from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.left_behind import of_run, until_gone
from tests.fault.chaos.record_snapshot import HandlerRun
from tests.fault.claims import check_claims
from tests.fault.crash.orders import ACTIONS
from tests.fault.crash.points import POINTS
from tests.fault.crash.scenario import Case, CrashStack, Promise
from tests.fault.crash.told import told_of_jobs
from tests.support.servers import empty, settings_for
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(600)
HERE = ACTIONS if os.environ.get("CRASHES") == "all" else ("kill",)
CASES = [Case(point, action) for point, action in product(POINTS, HERE)]
WANTED = os.environ.get("CRASH_POINTS", "").split()
if WANTED:
    CASES = [case for case in CASES if str(case) in WANTED]
DIED_TOGETHER = [case for case in CASES if case.action == "kill" and POINTS[case.point].work == "exits"]
"""Cases in which a consumer is killed about when a host of its own ends by itself: then nobody is left to end what that left."""


class Results(NamedTuple):
    """What went wrong in each case, and what the record says at the end."""

    outcomes: dict[Case, str]
    findings: list[Finding]
    claims: Counter[str]
    keys: dict[str, str]
    unpromised: list[str]
    promises: dict[str, Promise]
    ledger: list[HandlerRun]
    told: Violations


@asynccontextmanager
async def crash_stack(servers: Servers, directory: Path) -> AsyncIterator[CrashStack]:
    """Start the processes that are going to die, on empty servers."""
    await empty(servers)
    stack = Stack(servers, directory)
    opened = CrashStack(stack, directory)
    try:
        await opened.open(apis=2, consumers=4)
        yield opened
    finally:
        stack.stop()


async def run(servers: Servers, directory: Path) -> Results:
    """Run all cases, then read the record."""
    async with crash_stack(servers, directory) as opened, told_of_jobs(opened.stack) as judge:
        outcomes = await opened.run(CASES)
        told = await judge()
        async with opened.stack.sql() as sql:
            found = await sql.fetch("select key, job_id::text from idempotency_keys")
            keys = {row["key"]: row["job_id"] for row in found}
            query = "select id::text from jobs where not exists (select from idempotency_keys where job_id = jobs.id)"
            unpromised = [row[0] for row in await sql.fetch(query)]
        verifier = PostgresVerifier(servers.postgres.url, settings_for(servers))
        return Results(
            outcomes=outcomes,
            findings=[found for found in await verifier.verify(None, 30) if found.offenders],
            claims=await check_claims(opened.stack),
            keys=keys,
            unpromised=unpromised,
            promises=opened.promises,
            ledger=opened.handler_runs(),
            told=told,
        )


@pytest.fixture(scope="module")
def results(shared_servers: Servers, directory: Path) -> Results:
    """Run all cases once for all tests."""
    shared_servers.up()
    return asyncio.run(run(shared_servers, directory))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the directory of all cases."""
    return tmp_path_factory.mktemp("crash")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nobody_notices_a_process_that_ends_at_the_point(results: Results, case: Case) -> None:
    assert results.outcomes[case] == ""


def test_every_key_belongs_to_the_one_job_its_client_was_told_about(results: Results) -> None:
    assert results.keys == {key: promise.id for key, promise in results.promises.items()}
    assert results.unpromised == []


def test_every_claim_ended_once(results: Results) -> None:
    assert results.claims.keys() <= {"lease-lost", "released", "handler-error", "worker-lost"}


def test_every_ending_was_told_and_every_bulk_act_did_its_work_once(results: Results) -> None:
    assert results.told.counts == {}, results.told.examples


def test_no_invariant_of_the_record_is_violated(results: Results) -> None:
    assert results.findings == []


@pytest.mark.usefixtures("results")
async def test_no_process_is_left_behind(directory: Path) -> None:
    violations = Violations()
    await until_gone(of_run(directory / "ledger"), "after the end", violations)
    assert violations.counts.total() <= len(DIED_TOGETHER), violations.examples


def test_no_handler_ran_twice_under_one_claim_in_one_host(results: Results) -> None:
    assert [run for run, times in Counter(results.ledger).items() if times > 1] == []


def test_the_table_has_every_point_of_a_flow() -> None:
    numbers = {number.split()[0] for number in POINTS}
    assert numbers == {f"FP{number}" for number in range(1, 33)}
