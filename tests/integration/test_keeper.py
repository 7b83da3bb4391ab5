"""The keeper's duties, done once each against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import aio_pika
import asyncpg
import pytest

from consumer.keeper.dead_letters import DeadLetters
from consumer.keeper.duty import keep
from consumer.keeper.find_lost_messages import FindOvertakenJobs, FindStrandedJobs
from consumer.keeper.queue_due_jobs import QueueDueJobs
from consumer.keeper.republish_outbox import RepublishOutbox
from consumer.keeper.rescue_jobs import RescueJobs
from infra.local.servers import Servers
from sluice.adapters.rabbitmq import Broker
from sluice.core.document import render
from sluice.core.envelope import decode, encode
from sluice.core.errors import ServerAway
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
STRANDED_LONG_AGO = "queued_at = now() - interval '1 minute'"


class Scene:
    """A keeper's surroundings: the record, a broker that only publishes, and what was emitted."""

    def __init__(self, servers: Servers, record: Record) -> None:
        self.servers, self.record, self.cache, self.events = servers, record, FakeCache(), Events()
        self.store, self.telemetry = record.store, Telemetry(self.events)
        self.broker = Broker(servers.rabbitmq.url, "tests", [LANE], Telemetry(), publish_budget_s=1)
        self.publisher = OutboxPublisher(self.broker, self.store, {LANE.name: LANE}, self.telemetry)

    @property
    def republish(self) -> RepublishOutbox:
        return RepublishOutbox(self.record.keeper, self.publisher, self.telemetry)

    @property
    def stranded(self) -> FindStrandedJobs:
        return FindStrandedJobs(self.record.keeper, self.broker, [LANE.name], self.telemetry, patience_s=10)

    async def connected(self) -> None:
        await self.broker.start()
        await until(lambda: self.broker.connected)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        """Somebody else's hand on RabbitMQ."""
        async with await aio_pika.connect(self.servers.rabbitmq.url) as connection:
            yield await connection.channel()

    async def published(self, count: int) -> list[str]:
        """The ids of the first so many messages of the normal queue."""
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
async def scene(servers: Servers) -> AsyncIterator[Scene]:
    sql = await asyncpg.connect(servers.postgres.url)
    scene = Scene(servers, Record(servers, sql, lease_s=0.001))
    yield scene
    await scene.broker.close()
    await scene.record.database.close()
    sql.terminate()


async def test_due_messages_are_published_and_leave_the_outbox(scene: Scene) -> None:
    await scene.connected()
    ids = await scene.record.accepted(*new_jobs(6, ids_per_message=4))
    assert await scene.republish.once() == 0
    await scene.record.sql.execute("update outbox set due = now()")
    assert await scene.republish.once() == 6
    await scene.publisher.drain()
    assert sorted(await scene.published(2)) == sorted(ids)
    assert await scene.record.outbox() == []
    assert scene.events.fields(Event.REDISPATCHED) == [{"reason": "due"}]


async def test_messages_stay_in_the_outbox_while_rabbitmq_is_away(scene: Scene) -> None:
    await scene.record.accepted(*new_jobs(3))
    await scene.record.sql.execute("update outbox set due = now()")
    assert await scene.republish.once() == 3
    await scene.publisher.drain()
    (row,) = await scene.record.outbox()
    assert 25 < row.seconds <= 30
    assert scene.events.count(Event.DISPATCH_DEFERRED) == 3


async def test_messages_of_jobs_that_are_not_queued_any_more_are_dropped_and_counted(scene: Scene) -> None:
    await scene.record.claimed()
    await scene.record.sql.execute("update outbox set due = now()")
    assert await scene.republish.once() == 0
    assert scene.events == [(Event.DROPPED, 1, {})]


async def test_jobs_that_were_overtaken_are_offered_again_once_something_was_claimed(scene: Scene) -> None:
    (lost,) = await scene.record.accepted()
    await scene.record.change(lost, "queued_at = now() - interval '2 minutes'")
    await scene.record.empty_outbox()
    newest: dict[tuple[str, str], datetime] = {}
    duty = FindOvertakenJobs(scene.record.keeper, newest, scene.telemetry)
    assert await duty.once() == 0
    newest["default", "normal"] = datetime.now(UTC)
    assert await duty.once() == 1
    assert ids_in(await scene.record.outbox()) == [lost]
    assert scene.events == [(Event.REDISPATCHED, 1, {"reason": "overtaken"})]


async def test_jobs_whose_queue_is_empty_twice_are_offered_again(scene: Scene) -> None:
    await scene.connected()
    (lost,) = await scene.record.accepted()
    await scene.record.change(lost, STRANDED_LONG_AGO)
    await scene.record.empty_outbox()
    duty = scene.stranded
    assert [await duty.once() for _ in range(3)] == [0, 1, 0]
    assert ids_in(await scene.record.outbox()) == [lost]
    assert scene.events.fields(Event.REDISPATCHED) == [{"reason": "stranded"}]


async def test_jobs_whose_queue_holds_messages_are_left_to_them(scene: Scene) -> None:
    await scene.connected()
    await scene.record.change((await scene.record.accepted())[0], STRANDED_LONG_AGO)
    await scene.record.empty_outbox()
    async with scene.channel() as channel:
        await channel.default_exchange.publish(aio_pika.Message(encode([str(uuid4())])), QUEUE)
    await until_found(lambda: _depth(scene))
    duty = scene.stranded
    assert [await duty.once() for _ in range(3)] == [0, 0, 0]


async def _depth(scene: Scene) -> int:
    return (await scene.broker.depths())[QUEUE]


async def test_queues_are_not_taken_for_empty_while_rabbitmq_is_away(scene: Scene) -> None:
    await scene.record.change((await scene.record.accepted())[0], STRANDED_LONG_AGO)
    with pytest.raises(ServerAway):
        await scene.stranded.once()


async def test_scheduled_jobs_are_queued_and_their_waiters_woken(scene: Scene) -> None:
    due, later = await scene.record.accepted(*new_jobs(2, delay_s=60))
    await scene.record.change(due, "run_at = now()")
    duty = QueueDueJobs(scene.record.keeper, scene.cache, scene.telemetry)
    assert [await duty.once() for _ in range(2)] == [1, 0]
    assert scene.cache.announced == [{due: 2}]
    assert await scene.record.state(later) == "scheduled"


async def test_silent_consumers_lose_their_jobs_and_everybody_is_told(scene: Scene) -> None:
    again, hopeless, cancelled, alive = [await scene.record.claimed() for _ in range(4)]
    await scene.record.change(hopeless.id, f"crash_count = {LOST_LIMIT + 1}, solo_crashes = 2")
    await scene.record.ask_to_cancel(cancelled.id)
    await scene.record.expire(again.id, hopeless.id, cancelled.id)
    await scene.record.change(alive.id, "lease_until = now() + interval '1 minute'")
    duty = RescueJobs(scene.record.keeper, scene.cache, scene.telemetry)
    assert [await duty.once() for _ in range(2)] == [3, 0]
    counted = {event: count for event, count, _ in scene.events}
    assert counted == {Event.RESCUED: 1, Event.FAILED: 1, Event.CANCELLED: 1}
    assert [set(each) for each in scene.cache.announced] == [{again.id, hopeless.id, cancelled.id}]
    expected = {job.id: render(await scene.record.job(job.id)) for job in (hopeless, cancelled)}
    assert scene.cache.documents == expected


class Dead:
    """A keeper that reads dead letters, on a broker of its own."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.broker = Broker(scene.servers.rabbitmq.url, "tests dead", [LANE], Telemetry())
        self.broker.consume_dead(DeadLetters(scene.record.keeper, scene.telemetry, pause_s=0.02).deliver)

    async def start(self) -> None:
        await self.broker.start()
        await until(lambda: self.broker.consuming)

    async def post(self, body: bytes) -> None:
        """Let RabbitMQ give up a message."""
        async with self._scene.channel() as channel:
            await channel.default_exchange.publish(aio_pika.Message(body), DEAD_QUEUE)

    async def until_emitted(self, event: Event) -> None:
        await until(lambda: self._scene.events.count(event))

    async def left(self) -> int:
        """Messages that RabbitMQ still keeps once this keeper is gone."""
        await self.broker.close()
        async with self._scene.channel() as channel:
            queue = await channel.get_queue(DEAD_QUEUE)
            count = 0
            while await queue.get(fail=False):
                count += 1
            return count


@pytest.fixture
async def dead(scene: Scene) -> AsyncIterator[Dead]:
    dead = Dead(scene)
    await dead.start()
    yield dead
    await dead.broker.close()


async def test_dead_letters_are_read_back_into_the_record(scene: Scene, dead: Dead) -> None:
    queued, running = (await scene.record.accepted())[0], await scene.record.claimed()
    await scene.record.empty_outbox()
    await dead.post(encode([queued, running.id]))
    await dead.until_emitted(Event.REDISPATCHED)
    assert ids_in(await scene.record.outbox()) == [queued]
    assert await dead.left() == 0


async def test_dead_letters_that_nobody_can_read_are_counted_and_forgotten(scene: Scene, dead: Dead) -> None:
    await dead.post(b"\x00 not ours")
    await dead.until_emitted(Event.UNREADABLE)
    assert scene.events.count(Event.DEAD_LETTER) == 1
    assert await dead.left() == 0


async def test_rabbitmq_keeps_dead_letters_while_the_record_is_away(scene: Scene, dead: Dead) -> None:
    scene.servers.postgres.kill()
    await dead.post(encode([str(uuid4())]))
    await dead.until_emitted(Event.DEAD_LETTER)
    assert await dead.left() == 1


async def test_dead_letters_are_read_when_the_record_is_back(scene: Scene, dead: Dead) -> None:
    (queued,) = await scene.record.accepted()
    scene.servers.postgres.kill()
    await dead.post(encode([queued]))
    await dead.until_emitted(Event.DEAD_LETTER)
    scene.servers.postgres.start()
    await dead.until_emitted(Event.REDISPATCHED)
    assert await dead.left() == 0


async def test_a_keeper_without_servers_goes_on_and_finds_them_later(scene: Scene) -> None:
    (due,) = await scene.record.accepted(new_job(delay_s=60))
    await scene.record.change(due, "run_at = now()")
    scene.servers.postgres.kill()
    duty = QueueDueJobs(scene.record.keeper, scene.cache, scene.telemetry)
    keeping = asyncio.create_task(keep(duty, 0.01, scene.telemetry))
    with pytest.raises(ServerAway):
        await duty.once()
    scene.servers.postgres.start()
    await until(lambda: scene.cache.announced)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert scene.events.count(Event.DUTY_FAILED) == 0
