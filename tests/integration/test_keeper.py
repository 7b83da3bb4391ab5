"""The keeper's duties, done once each against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import aio_pika
import asyncpg
import pytest

from consumer.keeper.dead_letters import DeadLetters
from consumer.keeper.find_lost_messages import FindLostMessages
from consumer.keeper.keeper import Keeper
from consumer.keeper.record_duties import RecordDuties
from consumer.keeper.republish_outbox import RepublishOutbox
from consumer.keeper.rescue_jobs import RescueJobs
from infra.local.servers import Servers
from sluice.adapters.rabbitmq import Broker
from sluice.core.document import render
from sluice.core.envelope import decode, encode
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.lanes import DEAD_QUEUE, Lane
from sluice.core.lifecycle import LOST_LIMIT
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.record.record_fixture import Record, ids_in
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import new_job, new_jobs
from tests.support.waiting import until, until_found

LANE = Lane("default", slots=8, ids_per_message=4)
QUEUE = LANE.queues["normal"]
OFFERED_LONG_AGO = "queued_at = now() - interval '2 minutes', offered_until = now() - interval '1 minute'"


class KeeperSetup:
    """What a keeper works with: the record, a broker that only publishes, and what was emitted."""

    def __init__(self, servers: Servers, record: Record) -> None:
        self.servers, self.record, self.cache, self.events = servers, record, FakeCache(), Events()
        self.store, self.telemetry = record.store, Telemetry(self.events)
        self.broker = Broker(servers.rabbitmq.url, "tests", [LANE], Telemetry(), publish_budget_s=1)
        self.publisher = OutboxPublisher(self.broker, self.store, {LANE.name: LANE}, self.telemetry)

    @property
    def republish(self) -> RepublishOutbox:
        return RepublishOutbox(self.record.keeper, self.publisher, self.telemetry, lambda: True)

    async def rescue(self, judging: bool = True) -> int:
        """Rescue once; while it may not judge, the keeper itself has been without the record."""
        return await RescueJobs(self.record.keeper, self.cache, self.telemetry, lambda: judging).once()

    async def queue_due(self) -> int:
        record = self.record
        return await RecordDuties(record.keeper, self.cache, self.telemetry).queue_due()

    async def look(self) -> None:
        """Do nothing more at each look."""

    def find_lost(self, newest: Mapping[tuple[str, str], datetime] | None = None) -> FindLostMessages:
        return FindLostMessages(
            self.record.keeper, self.broker.depths, newest or {}, [LANE.name], self.telemetry
        )

    async def connected(self) -> None:
        await self.broker.start()
        await until(lambda: self.broker.connected)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        """Open a channel of somebody else."""
        async with await aio_pika.connect(self.servers.rabbitmq.url) as connection:
            yield await connection.channel()

    async def published(self, count: int) -> list[str]:
        """Return the ids of the first so many messages of the normal queue."""
        async with self.channel() as channel:
            queue = await channel.get_queue(QUEUE)
            ids: list[str] = []
            for _ in range(count):
                await until_found(partial(self._take, queue, ids))
            assert await queue.get(fail=False) is None
            return ids

    async def _take(self, queue: aio_pika.abc.AbstractQueue, ids: list[str]) -> bool:
        message = await queue.get(fail=False)
        if message is not None:
            await message.ack()
            ids += decode(message.body)
        return message is not None


@pytest.fixture
async def setup(servers: Servers) -> AsyncIterator[KeeperSetup]:
    sql = await asyncpg.connect(servers.postgres.url)
    setup = KeeperSetup(servers, Record(servers, sql))
    await setup.record.begin()
    yield setup
    await setup.broker.close()
    await setup.record.database.close()
    sql.terminate()


async def test_republish_are_published_and_leave_the_outbox(setup: KeeperSetup) -> None:
    await setup.connected()
    ids = await setup.record.accepted(*new_jobs(6, ids_per_message=4))
    assert await setup.republish.once() == 0
    await setup.record.sql.execute("update outbox set due = now()")
    assert await setup.republish.once() == 6
    await setup.publisher.drain()
    assert sorted(await setup.published(2)) == sorted(ids)
    assert await setup.record.outbox() == []
    assert setup.events.fields(Event.REDISPATCHED) == [{"reason": "due"}]


async def test_messages_stay_in_the_outbox_while_rabbitmq_is_away(setup: KeeperSetup) -> None:
    await setup.record.accepted(*new_jobs(3))
    await setup.record.sql.execute("update outbox set due = now()")
    assert await setup.republish.once() == 3
    await setup.publisher.drain()
    (row,) = await setup.record.outbox()
    assert 25 < row.seconds <= 30
    assert setup.events.count(Event.DISPATCH_DEFERRED) == 3


async def test_messages_of_jobs_that_are_not_queued_any_more_are_dropped_and_counted(
    setup: KeeperSetup,
) -> None:
    await setup.record.claimed()
    await setup.record.sql.execute("update outbox set due = now()")
    assert await setup.republish.once() == 0
    assert setup.events == [(Event.DROPPED, 1, {})]


async def test_jobs_whose_queue_is_empty_are_offered_again_once_somebody_consumes_it(
    setup: KeeperSetup,
) -> None:
    await setup.connected()
    (lost,) = await setup.record.accepted()
    await setup.record.change(lost, OFFERED_LONG_AGO)
    await setup.record.empty_outbox()
    duty = setup.find_lost()
    assert await duty.once() == 0
    async with setup.channel() as channel:
        await (await channel.get_queue(QUEUE)).consume(ignore)
        assert [await duty.once() for _ in range(2)] == [1, 0]
    assert ids_in(await setup.record.outbox()) == [lost]
    assert setup.events.fields(Event.REDISPATCHED) == [{"reason": "lost"}]


async def test_jobs_whose_queue_holds_messages_are_left_to_them_until_they_are_overtaken(
    setup: KeeperSetup,
) -> None:
    await setup.connected()
    await setup.record.change((await setup.record.accepted())[0], OFFERED_LONG_AGO)
    await setup.record.empty_outbox()
    async with setup.channel() as channel:
        await channel.default_exchange.publish(aio_pika.Message(encode([str(uuid4())])), QUEUE)
    await until_found(lambda: _depth(setup))
    queue = ("default", "normal")
    now = datetime.now(UTC)
    assert await setup.find_lost({queue: now - timedelta(minutes=5)}).once() == 0
    assert await setup.find_lost({queue: now}).once() == 1


async def _depth(setup: KeeperSetup) -> int:
    return (await setup.broker.depths()).get(QUEUE, 0)


async def ignore(_: aio_pika.abc.AbstractIncomingMessage) -> None:
    """Take a message and do nothing."""


async def test_queues_are_not_taken_for_empty_while_rabbitmq_is_away(setup: KeeperSetup) -> None:
    await setup.record.change((await setup.record.accepted())[0], OFFERED_LONG_AGO)
    with pytest.raises(ServerAway):
        await setup.find_lost().once()


async def test_scheduled_jobs_are_queued_and_their_waiters_woken(setup: KeeperSetup) -> None:
    due, later = await setup.record.accepted(*new_jobs(2, delay_s=60))
    await setup.record.change(due, "run_at = now()")
    duty = setup.queue_due
    assert [await duty() for _ in range(2)] == [1, 0]
    assert setup.cache.announced == [{due: 2}]
    assert await setup.record.state(later) == "scheduled"


async def test_silent_consumers_lose_their_jobs_and_waiters_are_woken(setup: KeeperSetup) -> None:
    again, hopeless, cancelled, alive = [await setup.record.claimed() for _ in range(4)]
    await setup.record.change(hopeless.id, f"crash_count = {LOST_LIMIT + 1}, solo_crashes = 2")
    await setup.record.ask_to_cancel(cancelled.id)
    await setup.record.expire(again.id, hopeless.id, cancelled.id)
    assert await setup.rescue(judging=False) == 0
    assert [await setup.rescue() for _ in range(2)] == [3, 0]
    assert await setup.record.state(alive.id) == "running"
    counted = {event: count for event, count, _ in setup.events}
    assert counted == {Event.RESCUED: 1, Event.FAILED: 1, Event.CANCELLED: 1}
    (said,) = setup.events.fields(Event.FAILED)
    assert (said["job_id"], said["attempt"], said["type"]) == (hopeless.id, 1, "worker-lost")
    assert [set(each) for each in setup.cache.announced] == [{again.id, hopeless.id, cancelled.id}]
    expected = {job.id: render(await setup.record.job(job.id)) for job in (hopeless, cancelled)}
    assert setup.cache.documents == expected


class DeadLetterReader:
    """A keeper that reads dead letters, on a broker connection of its own."""

    def __init__(self, setup: KeeperSetup) -> None:
        self._setup = setup
        self.broker = Broker(setup.servers.rabbitmq.url, "tests dead letters", [LANE], Telemetry())
        self.broker.consume_dead(DeadLetters(setup.record.keeper, setup.telemetry).deliver)

    async def start(self) -> None:
        await self.broker.start()
        await until(lambda: self.broker.consuming)

    async def post(self, body: bytes) -> None:
        """Put a message into the dead-letter queue."""
        async with self._setup.channel() as channel:
            await channel.default_exchange.publish(aio_pika.Message(body), DEAD_QUEUE)

    async def until_emitted(self, event: Event) -> None:
        await until(lambda: self._setup.events.count(event))

    async def left(self) -> int:
        """Return how many messages RabbitMQ still keeps once this keeper is gone."""
        await self.broker.close()
        async with self._setup.channel() as channel:
            queue = await channel.get_queue(DEAD_QUEUE)
            count = 0
            while await queue.get(fail=False):
                count += 1
            return count


@pytest.fixture
async def reader(setup: KeeperSetup) -> AsyncIterator[DeadLetterReader]:
    reader = DeadLetterReader(setup)
    await reader.start()
    yield reader
    await reader.broker.close()


async def test_dead_letters_are_read_back_into_the_record(
    setup: KeeperSetup, reader: DeadLetterReader
) -> None:
    queued, running = (await setup.record.accepted())[0], await setup.record.claimed()
    await setup.record.empty_outbox()
    await reader.post(encode([queued, running.id]))
    await reader.until_emitted(Event.REDISPATCHED)
    assert ids_in(await setup.record.outbox()) == [queued]
    assert await reader.left() == 0


async def test_dead_letters_that_nobody_can_read_are_counted_and_forgotten(
    setup: KeeperSetup, reader: DeadLetterReader
) -> None:
    await reader.post(b"\x00 not ours")
    await reader.until_emitted(Event.UNREADABLE)
    assert setup.events.count(Event.DEAD_LETTER) == 1
    assert await reader.left() == 0


async def test_dead_letters_that_come_while_the_record_is_away_are_found_with_lost_messages(
    setup: KeeperSetup, reader: DeadLetterReader
) -> None:
    (queued,) = await setup.record.accepted()
    await setup.record.change(queued, "offered_until = now()")
    await setup.connected()
    setup.servers.postgres.kill()
    await reader.post(encode([queued]))
    await reader.until_emitted(Event.DEAD_LETTER)
    assert await reader.left() == 0
    setup.servers.postgres.start()

    async def offered() -> bool:
        with suppress(ServerAway, TryAgain):
            return await setup.find_lost({("default", "normal"): datetime.now(UTC)}).once() == 1
        return False

    await until_found(offered)


async def test_a_keeper_without_servers_goes_on_and_finds_them_later(setup: KeeperSetup) -> None:
    (due,) = await setup.record.accepted(new_job(delay_s=60))
    await setup.record.change(due, "run_at = now()")
    setup.servers.postgres.kill()
    duty = setup.queue_due
    keeper = Keeper(
        setup.record.keeper, {"queue-due": duty}, {"queue-due": 0.0}, 60, 0.01, setup.telemetry, setup.look
    )
    keeping = asyncio.create_task(keeper.keep())
    with pytest.raises(ServerAway):
        await duty()
    setup.servers.postgres.start()
    await until(lambda: setup.cache.announced)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert setup.events.count(Event.DUTY_FAILED) == 0
