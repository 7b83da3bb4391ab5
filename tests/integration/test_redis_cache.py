"""Redis may freeze, die, forget or lie: answers are late by its budget at most, and never wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import pytest
import redis.asyncio as redis
from redis.asyncio.connection import AbstractConnection

from infra.local.servers import Servers
from sluice.adapters.redis.connection import AT_ONCE, BACKGROUND_S, RedisConnection
from sluice.adapters.redis.ports import RedisPorts, redis_ports
from sluice.adapters.redis.subscriptions import SILENCE_S
from sluice.core.document import render
from sluice.core.errors import ServerAway
from sluice.core.job import Job
from sluice.core.ports import Wake
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.support.make_jobs import finished_job
from tests.support.servers import frozen, settings_for
from tests.support.waiting import Stopwatch, until

IDENTITY = "one"
SLACK_S = 0.5
PATIENT_S = 30


class CacheSetup:
    """Redis for one process, what that emitted, and a client of the test's own."""

    def __init__(self, servers: Servers, silence_s: float = SILENCE_S) -> None:
        self.server, self.events = servers.redis, Events()
        self.settings = settings_for(servers)
        self.identity = RecordIdentity()
        self.identity.learn(IDENTITY)
        self.ports = self.new_ports(self.identity, silence_s)
        self.cache, self.subscriptions = self.ports.cache, self.ports.subscriptions
        self.client: redis.Redis = redis.Redis.from_url(servers.redis.url)

    def new_ports(
        self, identity: RecordIdentity, silence_s: float = SILENCE_S, **changes: object
    ) -> RedisPorts:
        """Open Redis for a process that uses this database, with these changes of settings."""
        settings = self.settings.model_copy(update=changes)
        return redis_ports(settings, "tests", Telemetry(self.events), identity, silence_s)

    async def announce_finished(self, *jobs: Job) -> None:
        """Announce these finished jobs."""
        await self.cache.announce({job.id: job.version for job in jobs}, [render(job) for job in jobs], {})

    async def until_up(self) -> None:
        """Return once Redis answers; the breaker lets one call through now and then."""
        while True:
            try:
                return await self.ports.connection.ping()
            except ServerAway:
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[dict[str, Wake]]:
        """Listen while the block runs, and yield what is heard."""
        heard: dict[str, Wake] = {}

        def on_wake(wakes: Mapping[str, Wake]) -> None:
            heard.update(wakes)

        task = asyncio.create_task(self.subscriptions.listen(on_wake))
        await self.until_listening()
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until_listening(self, listening: bool = True) -> None:
        """Return once the subscription is there, or is seen to be gone."""
        await until(lambda: self.subscriptions.listening is listening)

    async def until_heard(self, heard: dict[str, Wake], job_id: str) -> None:
        """Announce again and again until it is heard."""
        while job_id not in heard:
            with suppress(ServerAway):
                await self.cache.announce({job_id: 1}, [], {})
            await asyncio.sleep(0.01)


@pytest.fixture
async def setup(servers: Servers, request: pytest.FixtureRequest) -> AsyncIterator[CacheSetup]:
    """Redis; the parameter is how long a subscription may be silent."""
    opened = CacheSetup(servers, getattr(request, "param", SILENCE_S))
    yield opened
    await opened.ports.close()
    await opened.client.aclose()


@pytest.fixture
async def patient(setup: CacheSetup) -> AsyncIterator[RedisConnection]:
    """Redis for what is not about time: a busy machine may take as long as it likes."""
    ports = setup.new_ports(setup.identity, redis_budget_s=PATIENT_S)
    yield ports.connection
    await ports.close()


async def seconds_of(call: Awaitable[object]) -> float:
    """Return how long the call takes to say that Redis is away."""
    async with Stopwatch.running() as watch:
        with pytest.raises(ServerAway):
            await call
    return watch.seconds


async def test_nothing_is_read_or_written_until_the_database_is_known(setup: CacheSetup) -> None:
    identity, job = RecordIdentity(), finished_job()
    unbound = setup.new_ports(identity)
    await setup.announce_finished(job)
    assert await unbound.cache.get([job.id]) == [None]
    await seconds_of(unbound.cache.announce({job.id: 1}, [], {}))
    identity.learn(IDENTITY)
    assert await unbound.cache.get([job.id]) == [render(job)]
    await unbound.close()


async def test_a_restored_database_meets_an_empty_cache(setup: CacheSetup) -> None:
    job = finished_job()
    await setup.announce_finished(job)
    setup.identity.learn("two")
    assert await setup.cache.get([job.id]) == [None]


async def test_a_document_is_forgotten_after_its_time(setup: CacheSetup) -> None:
    await setup.announce_finished(finished_job())
    (key,) = await setup.client.keys()
    assert setup.settings.document_ttl_s - 5 < await setup.client.ttl(key) <= setup.settings.document_ttl_s


@pytest.mark.parametrize("value", [render(finished_job()).pack(), b"garbage", b"\xff\n{}"])
async def test_a_value_that_is_not_the_jobs_own_is_a_miss_and_counted(
    setup: CacheSetup, value: bytes
) -> None:
    asked, other = finished_job(), finished_job()
    await setup.announce_finished(asked, other)
    await setup.client.set(f"sluice:{IDENTITY}:document:{asked.id}", value)
    assert await setup.cache.get([asked.id, other.id]) == [None, render(other)]
    assert setup.events == [(Event.CACHE_MISMATCH, 1, {"asked": asked.id})]


async def test_the_reply_to_another_command_is_a_miss_and_counted(
    setup: CacheSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies: list[object] = [1, b"OK", True, [1], {"a": b"b"}]

    async def mix_up(*_: object, **__: object) -> object:
        return replies[0]

    monkeypatch.setattr(redis.Redis, "parse_response", mix_up)
    while replies:
        assert await setup.cache.get(["a"]) == [None]
        assert await setup.cache.get(["a", "b"]) == [None, None]
        assert await setup.cache.find_results([b"a", b"b"]) == [None, None]
        assert await setup.ports.live_logs.read("a") is None
        replies.pop(0)
    assert setup.events.count(Event.CACHE_MISMATCH) == 20


async def test_reads_that_were_given_up_never_show_in_the_answers_of_others(setup: CacheSetup) -> None:
    jobs = [finished_job() for _ in range(20)]
    await setup.announce_finished(*jobs)
    rng = random.Random(7)
    for _ in range(100):
        reads = {job: asyncio.create_task(setup.cache.get([job.id])) for job in rng.choices(jobs, k=8)}
        await asyncio.sleep(0)
        for task in rng.choices(list(reads.values()), k=3):
            task.cancel()
        await asyncio.wait(reads.values())
        for job, task in reads.items():
            if not task.cancelled():
                assert task.result() == [render(job)]
    assert setup.events == []


async def test_an_emptied_cache_misses(setup: CacheSetup) -> None:
    job = finished_job()
    await setup.announce_finished(job)
    await setup.client.flushall()
    assert await setup.cache.get([job.id]) == [None]


async def test_announcing_goes_on_when_redis_has_forgotten_the_script(setup: CacheSetup) -> None:
    for _ in range(2):
        job = finished_job()
        await setup.announce_finished(job)
        assert await setup.cache.get([job.id]) == [render(job)]
        await setup.client.script_flush()
    assert setup.events == []


async def test_more_commands_at_once_than_there_are_connections_wait_for_each_other(
    setup: CacheSetup, patient: RedisConnection
) -> None:
    """A client may cancel hundreds of jobs at once."""
    await asyncio.gather(*(patient.run("PING") for _ in range(500)))
    assert setup.events == []


async def test_a_command_that_found_no_room_says_nothing_about_redis(
    setup: CacheSetup, patient: RedisConnection
) -> None:
    await setup.client.client_pause(PATIENT_S * 1000, all=False)
    slow = [asyncio.create_task(patient.run("SET", "k", "v")) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    for _ in range(20):
        with pytest.raises(ServerAway, match="too many"):
            await patient.run("PING", budget_s=0.001)
    await setup.client.client_unpause()
    await asyncio.gather(*slow)
    assert setup.events == []


async def test_a_redis_that_takes_no_writes_wakes_waiters_all_the_same(setup: CacheSetup) -> None:
    job = finished_job()
    async with setup.listening() as heard:
        await setup.client.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(ServerAway):
                await setup.announce_finished(job)
        finally:
            await setup.client.config_set("min-replicas-to-write", 0)
        await until(lambda: job.id in heard)


async def test_a_frozen_redis_costs_a_read_no_more_than_its_budget(setup: CacheSetup) -> None:
    await setup.ports.connection.ping()
    with frozen(setup.server):
        began = monotonic()
        assert await seconds_of(setup.cache.get(["a"])) < setup.settings.redis_budget_s + SLACK_S
        assert monotonic() - began >= setup.settings.redis_budget_s * 0.9
        assert await seconds_of(setup.announce_finished(finished_job())) < BACKGROUND_S + SLACK_S
    await setup.until_up()


async def test_after_a_few_failures_nobody_waits_for_redis_any_more(setup: CacheSetup) -> None:
    with frozen(setup.server):
        for _ in range(3):
            await seconds_of(setup.ports.connection.ping())
        assert await seconds_of(setup.cache.get(["a"])) < 0.05
    assert setup.events.count(Event.SERVER_AWAY) == 1
    await setup.until_up()
    assert setup.events.count(Event.SERVER_BACK) == 1


async def test_a_killed_redis_is_away_at_once_and_comes_back_empty(setup: CacheSetup) -> None:
    job = finished_job()
    await setup.announce_finished(job)
    setup.server.kill()
    assert await seconds_of(setup.cache.get([job.id])) < setup.settings.redis_budget_s + SLACK_S
    setup.server.start()
    await setup.until_up()
    assert await setup.cache.get([job.id]) == [None]
    await setup.announce_finished(job)
    assert await setup.cache.get([job.id]) == [render(job)]


@pytest.fixture
def reset_while_writing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let so many writes meet a connection that was reset the moment before, as uvloop reports it."""
    left = 0

    async def send(self: AbstractConnection, *args: Any, **more: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            raise RuntimeError(
                "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
            )
        await really(self, *args, **more)

    def times(count: int) -> None:
        nonlocal left
        left = count

    really = AbstractConnection.send_packed_command
    monkeypatch.setattr(AbstractConnection, "send_packed_command", send)
    return times


async def test_a_connection_reset_while_it_is_written_to_is_redis_being_away(
    setup: CacheSetup, reset_while_writing: Callable[[int], None]
) -> None:
    await setup.ports.connection.ping()
    reset_while_writing(1)
    with pytest.raises(ServerAway):
        await setup.cache.get(["any"])
    assert await setup.cache.get(["any"]) == [None]


async def test_listening_goes_on_although_a_connection_is_reset_while_it_subscribes(
    setup: CacheSetup, reset_while_writing: Callable[[int], None]
) -> None:
    reset_while_writing(2)
    async with setup.listening() as heard:
        await setup.until_heard(heard, "after")


async def test_a_subscription_survives_a_restart_of_redis(setup: CacheSetup) -> None:
    async with setup.listening() as heard:
        setup.server.kill()
        await setup.until_listening(False)
        setup.server.start()
        await setup.until_listening()
        await setup.until_heard(heard, "after")


async def test_who_hears_that_messages_may_be_missing_can_read_at_once(setup: CacheSetup) -> None:
    back_when_heard: list[int] = []  # a breaker that is still open would refuse what is read then
    setup.server.kill()
    for _ in range(3):
        await seconds_of(setup.ports.connection.ping())
    setup.server.start()
    task = asyncio.create_task(
        setup.subscriptions.listen(lambda _: back_when_heard.append(setup.events.count(Event.SERVER_BACK)))
    )
    await setup.until_listening()
    task.cancel()
    assert back_when_heard == [1]


async def test_a_subscription_that_redis_cuts_off_comes_back(setup: CacheSetup) -> None:
    async with setup.listening() as heard:
        await setup.client.client_kill_filter(_type="pubsub")
        await setup.until_listening(False)
        await setup.until_listening()
        await setup.until_heard(heard, "after")


@pytest.mark.parametrize("setup", [0.1], indirect=True)
async def test_a_subscription_that_has_gone_silent_is_replaced(setup: CacheSetup) -> None:
    async with setup.listening() as heard:
        with frozen(setup.server):
            await setup.until_listening(False)
        await setup.until_listening()
        await setup.until_heard(heard, "after")


@pytest.mark.parametrize("setup", [0.25], indirect=True)
async def test_a_quiet_subscription_that_answers_is_kept(setup: CacheSetup) -> None:
    async with setup.listening() as heard:
        subscribed = await _subscribers(setup)
        for _ in range(10):  # four silences long
            await asyncio.sleep(0.1)
            assert setup.subscriptions.listening
        assert await _subscribers(setup) == subscribed
        await setup.until_heard(heard, "after")


async def test_a_subscription_hears_those_who_know_of_a_failover_before_it_does(setup: CacheSetup) -> None:
    promoted = RecordIdentity()
    promoted.learn("two")
    other = setup.new_ports(promoted)
    async with setup.listening() as heard:
        await other.cache.announce({"a": 1}, [], {})
        await until(lambda: heard)
    assert heard == {"a": Wake(1, finished=False)}
    await other.close()


@pytest.mark.parametrize(
    ("versions", "finished"), [({}, []), ({"a": 1}, []), ({"a": 1, "b": 22, "c": 333}, ["b"])]
)
async def test_many_wake_ups_travel_in_one_message(
    setup: CacheSetup, versions: dict[str, int], finished: list[str]
) -> None:
    async with setup.listening() as heard:
        await setup.cache.announce(versions, [render(finished_job(id=each)) for each in finished], {})
        await setup.until_heard(heard, "last")
    expected = {job_id: Wake(version, job_id in finished) for job_id, version in versions.items()}
    assert heard == expected | {"last": Wake(1, finished=False)}


async def _subscribers(setup: CacheSetup) -> set[str]:
    clients = await setup.client.client_list(_type="pubsub")
    return {client["id"] for client in clients}
