"""At every crash point a process is killed, frozen for longer than a lease, or meets an error: every promise is kept."""

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
from sluice.adapters.postgres.invariants import Invariants
from sluice.core.ports import Finding
from tests.fault.claims import check_claims
from tests.fault.crash.orders import ACTIONS
from tests.fault.crash.points import POINTS
from tests.fault.crash.scenario import Case, Promise, Stage
from tests.support.servers import empty, settings_for
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(600)
CASES = [Case(point, action) for point, action in product(POINTS, ACTIONS)]
WANTED = os.environ.get("CRASH_POINTS", "").split()
if WANTED:
    CASES = [case for case in CASES if str(case) in WANTED]
NOT_THERE = {"FP20": "there are no webhooks"}


class Played(NamedTuple):
    """What came of it: what went wrong in each case, and what the record says at the end."""

    outcomes: dict[Case, str]
    findings: list[Finding]
    claims: Counter[str]
    keys: dict[str, str]
    unpromised: list[str]
    promises: dict[str, Promise]
    ledger: list[tuple[str, str]]


@asynccontextmanager
async def stage(servers: Servers, directory: Path) -> AsyncIterator[Stage]:
    """Empty servers, and the processes that die on them."""
    await empty(servers)
    stack = Stack(servers, directory)
    opened = Stage(stack, directory)
    try:
        await opened.open(apis=2, consumers=4)
        yield opened
    finally:
        stack.stop()


async def play(servers: Servers, directory: Path) -> Played:
    """All cases, then a look at the record."""
    async with stage(servers, directory) as opened:
        outcomes = await opened.play(CASES)
        async with opened.stack.sql() as sql:
            found = await sql.fetch("select key, job_id::text from idempotency_keys")
            keys = {row["key"]: row["job_id"] for row in found}
            query = "select id::text from jobs where not exists (select from idempotency_keys where job_id = jobs.id)"
            unpromised = [row[0] for row in await sql.fetch(query)]
        invariants = Invariants(servers.postgres.url, settings_for(servers))
        return Played(
            outcomes=outcomes,
            findings=[found async for found in invariants.look(None, 30) if found.offenders],
            claims=await check_claims(opened.stack),
            keys=keys,
            unpromised=unpromised,
            promises=opened.promises,
            ledger=opened.runs(),
        )


@pytest.fixture(scope="module")
def played(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All cases, played once for all tests."""
    shared_servers.up()
    return asyncio.run(play(shared_servers, tmp_path_factory.mktemp("crash")))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_process_that_reaches_the_point_is_missed_by_nobody(played: Played, case: Case) -> None:
    assert played.outcomes[case] == ""


def test_every_key_stands_for_the_one_job_that_its_client_was_told_of(played: Played) -> None:
    assert played.keys == {key: promise.id for key, promise in played.promises.items()}
    assert played.unpromised == []


def test_every_claim_has_come_to_one_end(played: Played) -> None:
    assert played.claims.keys() <= {"lease-lost", "released", "handler-error"}


def test_no_invariant_of_the_record_is_violated(played: Played) -> None:
    assert played.findings == []


def test_no_handler_ran_twice_under_one_claim(played: Played) -> None:
    assert [run for run, times in Counter(played.ledger).items() if times > 1] == []


def test_the_table_has_every_point_of_a_flow() -> None:
    numbers = {number.split()[0] for number in POINTS}
    assert numbers | NOT_THERE.keys() == {f"FP{number}" for number in range(1, 23)}
    assert numbers.isdisjoint(NOT_THERE)
