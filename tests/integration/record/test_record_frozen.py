"""A keeper or consumer that is frozen in the middle of a statement holds nobody up: its locks end with the statement."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from sluice.adapters.postgres.pool import connect
from sluice.adapters.postgres.statements import load_queries
from sluice.core.errors import TryAgain
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.busy_keeper import NAME
from tests.support.make_jobs import ids_of, new_jobs
from tests.support.waiting import until_found

ROUNDS, MOST_ROUNDS = 12, 200
QUIET_LOOKS = 10
BUSY = """select count(*) from pg_stat_activity
          where application_name = $1 and state = 'active' and wait_event is distinct from 'ClientRead'"""
HELD = """select count(*) from pg_locks join pg_stat_activity using (pid)
          where application_name = $1 and (locktype in ('advisory', 'transactionid', 'tuple'))"""
IN_TRANSACTION = "select count(*) from pg_stat_activity where application_name = $1 and state like 'idle in%'"
WRITING = "select count(*) from pg_stat_activity where application_name = $1 and wait_event = 'ClientWrite'"
LEFT = """select count(*) from jobs
          where state in ('scheduled', 'running', 'succeeded') or state = 'queued' and deadline is not null"""


@pytest.fixture
async def restless(record: Record) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process that does the keeper's duties all the time, and has done each."""
    await something_to_do(record)
    url = record.settings.postgres_url.get_secret_value()
    process = subprocess.Popen([sys.executable, "-m", "tests.support.busy_keeper", url])  # noqa: ASYNC220  it is only started
    try:
        while await record.sql.fetchval(LEFT):
            pass
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_frozen_keeper_leaves_every_duty_to_the_others(
    record: Record, restless: subprocess.Popen[bytes]
) -> None:
    rng = random.Random(7)
    caught = 0
    for round_ in range(MOST_ROUNDS):
        if caught and round_ >= ROUNDS:
            break
        await asyncio.sleep(rng.uniform(0, 0.05))
        os.kill(restless.pid, signal.SIGSTOP)
        caught += await record.sql.fetchval(BUSY, NAME)
        await until_quiet(record)
        assert await record.sql.fetchval(IN_TRANSACTION, NAME) == 0
        assert await record.sql.fetchval(HELD, NAME) == 0
        await every_duty_does_its_work(record)
        os.kill(restless.pid, signal.SIGCONT)
    assert restless.poll() is None
    assert caught, "it was never frozen in the middle of anything"


async def until_quiet(record: Record) -> None:
    """Return once what was sent before the process froze is done."""
    quiet = 0
    while quiet < QUIET_LOOKS:
        quiet = 0 if await record.sql.fetchval(BUSY, NAME) else quiet + 1
        await asyncio.sleep(0.02)


class Todo(NamedTuple):
    """A job for each of these duties, by id."""

    due: str
    overdue: str
    silent: str
    old: str


async def something_to_do(record: Record) -> Todo:
    """Something for every duty comes up."""
    (due,), (overdue,) = await record.accepted(delay_s=60), await record.accepted(deadline_s=60)
    silent, old = await record.claimed(), await record.finished(4_000)
    await record.change(due, "run_at = now()")
    await record.change(overdue, "deadline = now()")
    await record.expire(silent.id)
    await record.sql.execute("update outbox set due = now()")
    return Todo(due, overdue, silent.id, old)


async def every_duty_does_its_work(record: Record) -> None:
    """One tick of each is enough."""
    todo = await something_to_do(record)
    messages, _ = await record.keeper.take_due_messages(100)
    assert messages
    assert todo.due in await record.keeper.queue_due(100)
    assert todo.silent in ids_of(await record.rescue())
    assert todo.overdue in ids_of(await record.keeper.fail_overdue(100))
    assert todo.old in await record.keeper.prune_jobs(1_000)
    assert await record.keeper.count(["default"], 100)


async def test_a_frozen_consumer_that_does_not_read_its_answer_is_cut_off_and_lets_go_of_its_rows(
    record: Record,
) -> None:
    jobs = new_jobs(400, input=b'"' + b"x" * 60_000 + b'"')  # more than the buffers of a connection take
    for job in jobs:
        await record.accepted(job)
    frozen = await connect(record.settings.postgres_url.get_secret_value(), NAME)
    claim = await frozen.prepare(load_queries()["claim"])
    frozen._transport.pause_reading()  # type: ignore[attr-defined]  # of asyncpg, private
    claiming = asyncio.create_task(
        claim.fetch(ids_of(jobs), record.another().id, [*KINDS], 5.0, [*KINDS.values()])
    )
    await until_found(lambda: record.sql.fetchval(WRITING, NAME))
    taken: list[str] = []
    while not taken:
        try:
            taken = ids_of(await record.store.claim(ids_of(jobs), KINDS))
        except TryAgain:
            continue
    assert sorted(taken) == sorted(ids_of(jobs))
    frozen.terminate()
    await asyncio.gather(claiming, return_exceptions=True)
