"""The advisory locks of the keeper: what one keeper is doing the others leave to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from consumer.keeper.prune_jobs import FIRST_ID
from consumer.keeper.prune_keys import FIRST_KEY
from sluice.adapters.postgres.locks import Lock
from sluice.core.job import IdempotencyKeyUse
from sluice.core.retention import Retention
from tests.integration.record.record_fixture import Record
from tests.integration.record.test_record_prune import NOBODY

HOUR = Retention({}, 3_600)
QUEUE = ("default", "normal")
NOTHING: tuple[object, ...] = ([], {}, 0, ([], 0), None)

DUTIES: dict[Lock, Callable[[Record], Awaitable[object]]] = {
    Lock.REDISPATCH: lambda record: record.keeper.take_due_messages(10),
    Lock.RESCUE: lambda record: record.keeper.rescue(10),
    Lock.DUE: lambda record: record.keeper.queue_due(10),
    Lock.OVERTAKEN: lambda record: record.keeper.redispatch_overtaken({QUEUE: datetime.now(UTC)}, 60),
    Lock.STRANDED: lambda record: record.keeper.redispatch_stranded([QUEUE], 10),
    Lock.OVERDUE: lambda record: record.keeper.fail_overdue(10),
    Lock.PRUNE_JOBS: lambda record: record.prune.prune_jobs(FIRST_ID, HOUR, 10),
    Lock.PRUNE_KEYS: lambda record: record.prune.prune_idempotency_keys(FIRST_KEY, 60, 10),
    Lock.COUNT: lambda record: record.statistics.count(["default"], 10, 1),
}


@pytest.mark.parametrize(("lock", "duty"), DUTIES.items(), ids=[lock.name.lower() for lock in DUTIES])
async def test_a_duty_that_another_keeper_is_at_is_left_to_it(
    record: Record, lock: Lock, duty: Callable[[Record], Awaitable[object]]
) -> None:
    await _give_every_duty_something_to_do(record)
    async with record.locked("select pg_advisory_xact_lock($1)", lock):
        assert await duty(record) in NOTHING
    assert await duty(record) not in NOTHING


async def _give_every_duty_something_to_do(record: Record) -> None:
    await record.accepted()
    await record.change((await record.accepted())[0], "queued_at = now() - interval '1 hour'")
    await record.change((await record.accepted(delay_s=60))[0], "run_at = now()")
    await record.expire((await record.claimed()).id)
    await record.sql.execute("update outbox set due = now()")
    await record.change((await record.accepted(deadline_s=60))[0], "deadline = now()")
    await record.finished(4_000)
    await record.store.bind_idempotency_key("acme", "old", IdempotencyKeyUse(b"h", NOBODY))
    await record.sql.execute("update idempotency_keys set created_at = now() - interval '2 hours'")
