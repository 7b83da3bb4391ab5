"""What the keeper does not take while it could not send it."""

from __future__ import annotations

import pytest

from consumer.keeper.republish_outbox import ROWS_AT_ONCE, ROWS_PER_TICK, RepublishOutbox
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import Events, FakeMessagePublisher
from tests.support.make_jobs import ids_of, new_jobs

LANES = {"default": Lane("default", 8, 16)}


@pytest.mark.parametrize("connected", [True, False])
async def test_due_messages_are_left_alone_until_rabbitmq_is_connected(connected: bool) -> None:
    record, messages, jobs = FakeKeeperStore(), FakeMessagePublisher(), new_jobs(2)
    await record.accept(jobs)
    publisher = OutboxPublisher(messages, record, LANES, Telemetry())
    duty = RepublishOutbox(record, publisher, Telemetry(), lambda: connected)
    assert await duty.once() == (2 if connected else 0)
    await publisher.drain()
    assert (messages.ids, bool(record.outbox)) == ((ids_of(jobs), False) if connected else ([], True))


async def test_no_rows_are_taken_that_would_wait_behind_unconfirmed_ones() -> None:
    record, messages = FakeKeeperStore(), FakeMessagePublisher()
    publisher = OutboxPublisher(messages, record, LANES, Telemetry())
    duty = RepublishOutbox(record, publisher, Telemetry(), lambda: True)
    messages.open.clear()
    await record.accept(new_jobs(ROWS_AT_ONCE, ids_per_message=1))
    assert await duty.once() == ROWS_AT_ONCE
    late = new_jobs(1)
    await record.accept(late)
    assert (await duty.once(), publisher.unconfirmed) == (0, ROWS_AT_ONCE)
    messages.open.set()
    await publisher.drain()
    assert await duty.once() == 1
    await publisher.drain()
    assert (messages.ids[-1:], record.outbox) == (ids_of(late), {})


async def test_while_rabbitmq_is_away_the_whole_outbox_is_walked_through_for_what_is_void() -> None:
    record, events = FakeKeeperStore(), Events()
    await record.accept(new_jobs(ROWS_PER_TICK + 3, ids_per_message=1))
    record.jobs.clear()
    publisher = OutboxPublisher(FakeMessagePublisher(), record, {}, Telemetry())
    duty = RepublishOutbox(record, publisher, Telemetry(events), lambda: False)
    assert [await duty.once() for _ in range(3)] == [ROWS_PER_TICK, 3, 0]
    await record.accept(new_jobs(1))
    record.jobs.clear()
    assert await duty.once() == 1, "it does not begin anew"
    assert (events.count(Event.DROPPED), record.taken) == (ROWS_PER_TICK + 4, set())
