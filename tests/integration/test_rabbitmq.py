"""The connection to RabbitMQ against a real broker that is killed, frozen, wiped, blocked and cut off."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiormq
import pytest
from yarl import URL

from adapters.rabbitmq import Broker, link, queues
from core.envelope import decode
from core.errors import ServerAway
from core.job import Message
from core.lanes import DEAD_QUEUE, Lane, queue_name
from core.ports import Delivery
from core.telemetry import Event, Telemetry
from infra.local.programs import find
from infra.local.servers import RabbitMQ

pytestmark = pytest.mark.timeout(60)

BUDGET_S = 0.6
ACK_FRAME = b"\x00\x3c\x00\x50"
lane_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMQ]:
    with tempfile.TemporaryDirectory(prefix="sluice-rabbitmq-") as directory:
        server = RabbitMQ(Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def rabbitmq(server: RabbitMQ) -> Iterator[RabbitMQ]:
    yield server
    server.start()  # also thaws


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once and give up on a silent broker soon, so that a test of many faults stays short."""
    monkeypatch.setattr(link, "PAUSE_S", 0.05)
    monkeypatch.setattr(queues, "CALL_S", 1.0)


@pytest.fixture
def lane() -> Lane:
    """A lane whose queues no other test has used; holds 12 normal messages of one id each."""
    return Lane(f"t{next(lane_numbers)}", slots=16, ids_per_message=1)


class Proxy:
    """Stands between us and the broker, counts acknowledgements, and cuts every connection when told to."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self.accepted = 0
        self.acknowledgements = 0

    @property
    def connections(self) -> int:
        return len(self._lines)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        line = (writer, broker_writer)
        self._lines.add(line)
        try:
            await asyncio.gather(
                self._copy(reader, broker_writer, counting=True),
                self._copy(broker_reader, writer, counting=False),
            )
        finally:
            self._lines.discard(line)

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counting: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self.acknowledgements += data.count(ACK_FRAME) if counting else 0
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for line in list(self._lines):
            for writer in line:
                sock: socket.socket | None = writer.get_extra_info("socket")
                if sock is not None and sock.fileno() >= 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()


@asynccontextmanager
async def proxied(rabbitmq: RabbitMQ) -> AsyncIterator[tuple[Proxy, str]]:
    proxy = Proxy(rabbitmq.port)
    listener = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy, str(URL(rabbitmq.url).with_port(port))
    finally:
        listener.close()
        proxy.cut()
        await until(lambda: proxy.connections == 0)


class Consumer:
    """What a test does with deliveries: keeps them, and acknowledges them unless told to hold them."""

    def __init__(self, *, hold: bool = False) -> None:
        self.hold = hold
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if not self.hold:
            delivery.acknowledge()

    @property
    def ids(self) -> list[str]:
        return [each for delivery in self.deliveries for each in decode(delivery.body)]


class Events(list[tuple[Event, dict[str, Any]]]):
    """Everything that was emitted."""

    def __call__(self, event: Event, count: int, fields: dict[str, Any]) -> None:
        self.append((event, fields))

    @property
    def names(self) -> list[Event]:
        return [event for event, _ in self]


@asynccontextmanager
async def running(
    url: str, lane: Lane, on_delivery: Consumer | None = None, events: Events | None = None, **options: Any
) -> AsyncIterator[Broker]:
    broker = Broker(
        url, "test", [lane], Telemetry(*([events] if events is not None else [])), BUDGET_S, **options
    )
    if on_delivery is not None:
        broker.consume(lane, on_delivery)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.close()


async def until(condition: Callable[[], object], timeout_s: float = 15) -> None:
    """Wait for a condition to hold, or fail."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def in_place(broker: Broker) -> None:
    await until(lambda: broker.connected and broker.consuming)


def message(lane: Lane, priority: str = "normal", ids: int = 1) -> Message:
    return Message(1, lane.name, priority, tuple(str(uuid4()) for _ in range(ids)))


async def published(broker: Broker, lane: Lane, timeout_s: float = 15) -> str:
    """Publish as the keeper does, again and again, until it works; returns the id."""
    new = message(lane)
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await broker.publish(new)
                return new.ids[0]
            except ServerAway:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def operator(rabbitmq: RabbitMQ) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    """Somebody else's hand on the broker."""
    connection = await aiormq.connect(rabbitmq.url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


def control(rabbitmq: RabbitMQ, *words: str) -> None:
    subprocess.run(
        [str(find("rabbitmqctl")), *words],
        check=True,
        capture_output=True,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(rabbitmq.directory),
            "RABBITMQ_NODENAME": "sluice@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_PORT": (rabbitmq.directory / "epmd.port").read_text().strip(),
        },
    )


# --- publishing and consuming


async def test_a_published_message_is_delivered_with_its_ids_lane_and_priority(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker:
        await in_place(broker)
        sent = {priority: message(lane, priority, ids=3) for priority in lane.queues}
        for each in sent.values():
            await broker.publish(each)
        await until(lambda: len(consumer.deliveries) == len(sent))
        for delivery in consumer.deliveries:
            assert decode(delivery.body) == list(sent[delivery.priority].ids)
            assert delivery.lane == lane.name  # type: ignore[attr-defined]  # more than the port promises


async def test_a_publish_returns_only_when_the_message_is_in_the_queue(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane) as broker:
        await until(lambda: broker.connected)
        await asyncio.gather(*(broker.publish(message(lane, "low")) for _ in range(50)))
        depths = await broker.depths()
    assert depths[queue_name(lane.name, "low")] == 50
    assert set(depths) == {DEAD_QUEUE, *lane.queues.values()}


async def test_messages_survive_the_broker_being_killed_and_both_sides_come_back_by_themselves(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events = Consumer(), Events()
    async with running(rabbitmq.url, lane) as publisher:
        await until(lambda: publisher.connected)
        kept = await published(publisher, lane)
        await asyncio.to_thread(rabbitmq.kill)
        async with running(rabbitmq.url, lane, consumer, events) as broker:
            await until(lambda: Event.SERVER_AWAY in events.names)
            with pytest.raises(ServerAway):
                await broker.publish(message(lane))
            with pytest.raises(ServerAway):
                await broker.ping(1)
            with pytest.raises(ServerAway):
                await broker.depths()
            await asyncio.to_thread(rabbitmq.start)
            await in_place(broker)
            await broker.ping(1)
            new = await published(publisher, lane)
            await until(lambda: {kept, new} <= set(consumer.ids))
        assert events.names == [Event.SERVER_AWAY, Event.SERVER_BACK]
        assert {fields["server"] for _, fields in events} == {"rabbitmq"}


async def test_a_broker_whose_disk_was_wiped_gets_its_queues_back(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker:
        await in_place(broker)

        def wipe() -> None:
            rabbitmq.kill()
            rabbitmq.wipe()
            rabbitmq.start()

        await asyncio.to_thread(wipe)
        new = await published(broker, lane)
        await until(lambda: new in consumer.ids)


async def test_two_programs_with_the_same_lanes_agree_on_the_queues(rabbitmq: RabbitMQ, lane: Lane) -> None:
    events, consumer = Events(), Consumer()
    async with running(rabbitmq.url, lane, None, events) as api:
        await until(lambda: api.connected)
        async with running(rabbitmq.url, lane, consumer, events) as work:
            await in_place(work)
            await api.publish(message(lane))
            await until(lambda: consumer.deliveries)
    assert events == []


async def test_a_queue_that_exists_in_another_form_is_reported_and_not_worked_around(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    events = Events()
    async with operator(rabbitmq) as channel:
        await channel.queue_declare(lane.queues["low"], durable=True)  # classic, no dead letters
        async with running(rabbitmq.url, lane, None, events) as broker:
            await until(lambda: events)
            assert "x-queue-type" in events[0][1]["why"]
            assert not broker.connected
            await channel.queue_delete(lane.queues["low"])
            await until(lambda: broker.connected)


# --- a broker that does not answer


async def test_a_frozen_broker_fails_every_publish_in_time_and_is_found_again_after_the_thaw(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events, tried = Consumer(), Events(), []
    async with running(rabbitmq.url, lane, consumer, events) as broker:
        await in_place(broker)

        async def relay() -> None:
            while True:
                new, began = message(lane), time.monotonic()
                with suppress(ServerAway):
                    await broker.publish(new)
                tried.append(time.monotonic() - began)
                await asyncio.sleep(0.01)

        relays = [asyncio.create_task(relay()) for _ in range(5)]
        rabbitmq.freeze()
        await until(lambda: Event.SERVER_AWAY in events.names)
        assert not broker.connected
        rabbitmq.thaw()
        new = await published(broker, lane)
        await until(lambda: new in consumer.ids)
        assert max(tried) < BUDGET_S + 0.4
        assert max(tried) > BUDGET_S - 0.1, "nothing was in flight when the broker froze"
        assert not any(task.done() for task in relays)
        for task in relays:
            task.cancel()
        await asyncio.wait(relays)


async def test_a_publish_in_flight_when_its_connection_dies_fails_as_server_away(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with proxied(rabbitmq) as (proxy, url), running(url, lane) as broker:
        await until(lambda: broker.connected)
        rabbitmq.freeze()
        flights = [asyncio.create_task(broker.publish(message(lane))) for _ in range(20)]
        await asyncio.sleep(0)
        began = time.monotonic()
        proxy.cut()
        await asyncio.wait(flights)
        assert time.monotonic() - began < BUDGET_S, "they waited for their budget, not for the connection"
        assert all(isinstance(task.exception(), ServerAway) for task in flights)


async def test_a_caller_that_is_cancelled_is_cancelled(rabbitmq: RabbitMQ, lane: Lane) -> None:
    async with running(rabbitmq.url, lane) as broker:
        await until(lambda: broker.connected)
        rabbitmq.freeze()
        flight = asyncio.create_task(broker.publish(message(lane)))
        await asyncio.sleep(0)
        flight.cancel()
        await asyncio.wait({flight})
        assert flight.cancelled()


async def test_closing_is_quick_although_the_broker_is_frozen(rabbitmq: RabbitMQ, lane: Lane) -> None:
    broker = Broker(rabbitmq.url, "test", [lane], Telemetry(), BUDGET_S)
    consumer = Consumer(hold=True)
    broker.consume(lane, consumer)
    await broker.start()
    await in_place(broker)
    await broker.publish(message(lane))
    await until(lambda: consumer.deliveries)
    rabbitmq.freeze()
    consumer.deliveries[0].acknowledge()
    flights = [asyncio.create_task(broker.publish(message(lane))) for _ in range(20)]
    await asyncio.sleep(0)
    began = time.monotonic()
    await broker.close()
    assert time.monotonic() - began < 2.2
    await asyncio.wait(flights, timeout=BUDGET_S + 0.4)
    assert all(isinstance(task.exception(), ServerAway) for task in flights)


async def test_starting_returns_at_once_when_nothing_listens(lane: Lane) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    events = Events()
    async with running(f"amqp://a:b@127.0.0.1:{port}/", lane, Consumer(), events) as broker:
        assert not broker.connected
        assert not broker.consuming
        await until(lambda: events)
    assert events.names == [Event.SERVER_AWAY]


async def test_an_alarm_fails_publishing_at_once_and_publishing_resumes_when_it_is_over(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    events = Events()
    async with running(rabbitmq.url, lane, None, events) as broker:
        await until(lambda: broker.connected)
        await asyncio.to_thread(control, rabbitmq, "set_vm_memory_high_watermark", "0")
        try:
            await until_refused(broker, lane)
            await until(lambda: events)
            began = time.monotonic()
            with pytest.raises(ServerAway, match="blocked"):
                await broker.publish(message(lane))
            assert time.monotonic() - began < BUDGET_S / 2
        finally:
            await asyncio.to_thread(control, rabbitmq, "set_vm_memory_high_watermark", "0.4")
        await published(broker, lane)
    assert events.names == [Event.SERVER_AWAY, Event.SERVER_BACK]
    assert "blocked" in events[0][1]["why"]


async def until_refused(broker: Broker, lane: Lane) -> None:
    """RabbitMQ tells a connection of an alarm only when it publishes."""
    async with asyncio.timeout(10):
        with suppress(ServerAway):
            while True:
                await broker.publish(message(lane))


# --- queues and consumers that go missing


async def test_a_message_for_a_missing_queue_is_noticed_and_the_queue_is_made_again(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane) as broker, operator(rabbitmq) as channel:
        await until(lambda: broker.connected)
        await channel.queue_delete(lane.queues["normal"])
        with pytest.raises(ServerAway, match=lane.queues["normal"]):
            await broker.publish(message(lane))
        await published(broker, lane, timeout_s=2)
        assert (await broker.depths())[lane.queues["normal"]] == 1


async def test_a_consumer_whose_queue_was_deleted_by_hand_comes_back(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker, operator(rabbitmq) as channel:
        await in_place(broker)
        await channel.queue_delete(lane.queues["normal"])
        new = await published(broker, lane)
        await until(lambda: new in consumer.ids, timeout_s=3)


async def test_a_consumer_that_died_without_a_word_is_missed_and_replaced(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events = Consumer(), Events()
    async with running(rabbitmq.url, lane, consumer, events, watch_s=0.3) as broker:
        await in_place(broker)
        for hand in broker._consuming.hands:  # the broker forgets the consumers, and our side is not told
            await hand._channel.basic_cancel(hand._tag)
        new = await published(broker, lane)
        await until(lambda: new in consumer.ids, timeout_s=5)
    assert "delivers none" in events[0][1]["why"]


async def test_a_consumer_with_full_hands_is_not_taken_for_dead(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer(hold=True)
    async with (
        proxied(rabbitmq) as (proxy, url),
        running(url, lane, consumer, watch_s=0.1) as broker,
    ):
        await in_place(broker)
        for _ in range(20):
            await broker.publish(message(lane))
        held = queues.prefetch(lane)["normal"]
        await until(lambda: len(consumer.deliveries) == held)
        looks = count_looks(broker)
        await until(lambda: len(looks) >= 6)
        assert proxy.accepted == 2
        assert len(consumer.deliveries) == held
        assert (await broker.depths())[lane.queues["normal"]] == 20 - held
        for delivery in consumer.deliveries:
            delivery.acknowledge()
        await until(lambda: len(consumer.deliveries) == 20)


def count_looks(broker: Broker) -> list[None]:
    looks: list[None] = []
    look = broker._consuming.look

    async def counted(connection: aiormq.Connection) -> None:
        await look(connection)
        looks.append(None)

    broker._consuming.look = counted  # type: ignore[method-assign]
    return looks


async def test_connections_that_are_reset_over_and_over_always_end_up_consuming_again(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events = Consumer(), Events()
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer, events) as broker:
        await in_place(broker)
        tasks = len(asyncio.all_tasks())
        for cuts in range(30):
            if cuts % 3 == 0:  # the others hit connections that are being made
                await in_place(broker)
                new = await published(broker, lane)
                await until(lambda new=new: new in consumer.ids)  # type: ignore[misc]  # bound now on purpose
            accepted = proxy.accepted
            proxy.cut()
            await until(lambda accepted=accepted: proxy.accepted > accepted)  # type: ignore[misc]
        await in_place(broker)
        new = await published(broker, lane)
        await until(lambda: new in consumer.ids)
        await until(lambda: proxy.connections == 2)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert events.names[:4] == [Event.SERVER_AWAY, Event.SERVER_BACK] * 2
    assert all(one != two for one, two in itertools.pairwise(events.names))


# --- acknowledging


async def test_acknowledgements_of_one_turn_travel_as_one_frame(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer(hold=True)
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer) as broker:
        await in_place(broker)
        await asyncio.gather(*(broker.publish(message(lane)) for _ in range(10)))
        await until(lambda: len(consumer.deliveries) == 10)
        for delivery in reversed(consumer.deliveries[:8]):
            delivery.acknowledge()
        await until(lambda: proxy.acknowledgements)
        await broker.stop_consuming()
        proxy.cut()  # whatever was not acknowledged by then comes again
    assert proxy.acknowledgements == 1
    again = Consumer()
    async with running(rabbitmq.url, lane, again):
        await until(lambda: again.ids)
        await until(lambda: len(again.ids) == 2)
    assert again.ids == consumer.ids[8:]


async def test_what_is_behind_an_unfinished_delivery_is_not_acknowledged_before_it(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer(hold=True)
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer) as broker:
        await in_place(broker)
        for _ in range(5):
            await broker.publish(message(lane))
        await until(lambda: len(consumer.deliveries) == 5)
        for delivery in (*consumer.deliveries[:2], *consumer.deliveries[3:]):
            delivery.acknowledge()
        await until(lambda: proxy.acknowledgements == 1)
        first = list(consumer.ids)
        proxy.cut()
        await until(lambda: len(consumer.deliveries) == 8)
        assert consumer.ids[5:] == first[2:]


async def test_a_delivery_of_a_lost_channel_is_void(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer(hold=True)
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer) as broker:
        await in_place(broker)
        for _ in range(3):
            await broker.publish(message(lane))
        await until(lambda: len(consumer.deliveries) == 3)
        proxy.cut()
        await until(lambda: len(consumer.deliveries) == 6)
        for delivery in consumer.deliveries[:3]:  # the same tags as on the new channel
            delivery.acknowledge()
        proxy.cut()
        await until(lambda: len(consumer.deliveries) == 9)
        assert consumer.ids[:3] == consumer.ids[3:6] == consumer.ids[6:]
        assert proxy.acknowledgements == 0


async def test_after_consuming_was_stopped_what_is_in_hand_can_still_be_acknowledged(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer(hold=True)
    async with running(rabbitmq.url, lane, consumer) as broker:
        await in_place(broker)
        await broker.publish(message(lane))
        await until(lambda: consumer.deliveries)
        await broker.stop_consuming()
        assert not broker.consuming
        later = await published(broker, lane)
        consumer.deliveries[0].acknowledge()
        consumer.deliveries[0].acknowledge()
    assert len(consumer.deliveries) == 1
    again = Consumer()
    async with running(rabbitmq.url, lane, again):
        await until(lambda: again.ids)
    assert again.ids == [later]


async def test_what_rabbitmq_gives_up_arrives_as_a_dead_letter(rabbitmq: RabbitMQ, lane: Lane) -> None:
    dead = Consumer()
    broker = Broker(rabbitmq.url, "test", [lane], Telemetry(), BUDGET_S)
    broker.consume_dead(dead)
    await broker.start()
    await in_place(broker)
    new = await published(broker, lane)
    async with operator(rabbitmq) as channel:
        got = await channel.basic_get(lane.queues["normal"])
        assert got.delivery_tag is not None
        await channel.basic_reject(got.delivery_tag, requeue=False)
        await until(lambda: dead.ids == [new])
    await broker.close()


# --- how much is held


@pytest.mark.parametrize(
    ("lane", "expected"),
    [
        (Lane("default", 128, 16), {"high": 6, "normal": 6, "low": 2, "overflow": 2}),
        (Lane("heavy", 2, 1), {"high": 1, "normal": 1, "low": 1, "overflow": 1}),
        (Lane("one", 1, 100), {"high": 1, "normal": 1, "low": 1, "overflow": 1}),
        (Lane("wide", 1_000, 1), {"high": 750, "normal": 750, "low": 250, "overflow": 250}),
    ],
)
def test_the_ids_in_hand_are_at_most_twice_the_slots(lane: Lane, expected: dict[str, int]) -> None:
    assert queues.prefetch(lane) == expected
    if 2 * lane.slots >= 4 * lane.ids_per_message:  # else one message of each queue is more already
        assert sum(expected.values()) * lane.ids_per_message <= 2 * lane.slots


def test_no_queue_asks_for_features_that_differ_between_releases() -> None:
    for name in queues.names([Lane("default", 1, 1)]):
        assert set(queues.arguments(name)) <= {
            "x-queue-type",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
        }
        assert queues.arguments(name)["x-queue-type"] == "quorum"
