"""Open a process's connections: in order, named after the process, closed in reverse even if the start fails.

Nothing here waits for a server: a process starts with everything down and becomes ready by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from sluice import __version__
from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.api_key_store import PostgresApiKeyStore
from sluice.adapters.postgres.batch_store import PostgresBatchStore
from sluice.adapters.postgres.bulk_store import PostgresBulkStore
from sluice.adapters.postgres.control_store import PostgresControlStore
from sluice.adapters.postgres.ending_store import PostgresEndingStore
from sluice.adapters.postgres.installation_store import PostgresInstallationStore
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.adapters.postgres.lane_store import PostgresLaneStore
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.adapters.postgres.server import PostgresServer
from sluice.adapters.postgres.server_checks import ServerChecks, describe_crowding
from sluice.adapters.postgres.situation_store import PostgresSituationStore
from sluice.adapters.postgres.storage_store import ADD_UP_S, PostgresStorageStore
from sluice.adapters.postgres.unserved import describe_unserved
from sluice.adapters.postgres.verifier import PostgresVerifier
from sluice.adapters.postgres.webhook_store import PostgresWebhookStore
from sluice.adapters.rabbitmq import Broker, EventBroker, NullBroker
from sluice.adapters.redis.connection import RedisConnection
from sluice.adapters.redis.document_cache import RedisDocumentCache
from sluice.adapters.redis.live_logs import RedisLiveLogs
from sluice.adapters.redis.ports import RedisPorts, redis_ports
from sluice.adapters.redis.rate_ledger import RedisRateLedger
from sluice.adapters.redis.server_checks import is_cluster, refuses_writes, stops_after_snapshot
from sluice.adapters.redis.statistics_board import RedisStatisticsBoard
from sluice.adapters.redis.subscriptions import RedisSubscriptions
from sluice.adapters.server_checks import ConfigProblems
from sluice.adapters.webhooks.sender import WebhookSender
from sluice.core.errors import ServerAway
from sluice.core.live_events import LiveEvents
from sluice.core.owner import Owner
from sluice.core.runtime.record_clock import RecordClock
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.tasks import TaskSet, repeat
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.runtime.web_settings import read_networks
from sluice.errors import SluiceError

Ping = Callable[[], Awaitable[None]]

CHECK_S = 30.0
"""How often a process asks the record for its time, settings and identity; the latter two also on each new connection."""
EVENTS_END_S = 1.0
"""Seconds that the last events have at the end of a process."""
AGAIN_S = 0.5
"""Seconds until it asks again where the record does not answer."""


@dataclass(frozen=True, slots=True)
class Connections:
    """All that a process speaks to: an adapter for each port, how to ping each server, and the problems of their settings."""

    jobs: PostgresJobStore
    control: PostgresControlStore
    listing: PostgresListingStore
    batches: PostgresBatchStore
    bulk: PostgresBulkStore
    endings: PostgresEndingStore
    schedules: PostgresScheduleStore
    lanes: PostgresLaneStore
    storage: PostgresStorageStore
    situations: PostgresSituationStore
    installation: PostgresInstallationStore
    api_keys: PostgresApiKeyStore
    access: PostgresAccessStore
    keeper: PostgresKeeperStore
    webhooks: PostgresWebhookStore
    webhook_sender: WebhookSender
    verifier: PostgresVerifier
    cache: RedisDocumentCache
    subscriptions: RedisSubscriptions
    board: RedisStatisticsBoard
    live_logs: RedisLiveLogs
    rates: RedisRateLedger
    broker: Broker | NullBroker
    events: EventBroker | None
    pings: Mapping[str, Ping]
    config_problems: ConfigProblems
    clock: RecordClock
    identity: RecordIdentity


class Servers(NamedTuple):
    """How one process reaches each server."""

    database: Database
    postgres: PostgresServer
    redis: RedisPorts
    broker: Broker | NullBroker


@asynccontextmanager
async def open_connections(
    settings: Settings, role: str, owner: Owner, telemetry: Telemetry
) -> AsyncIterator[Connections]:
    """Open the connections of one process. `role` is `api` or `consumer`; `owner` is its lease."""
    config_problems, clock, identity = ConfigProblems(telemetry), RecordClock(), RecordIdentity()
    checks = ServerChecks(
        config_problems,
        accept=settings.unsafe_durability == "accept",
        standby_may_lag=settings.standby_may_lag,
        identity=identity,
    )
    servers = _make_servers(settings, f"sluice-{role}", telemetry, checks, identity)
    identity.follow(servers.database.reconnect)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(servers.database.close)
        stack.push_async_callback(servers.redis.close)
        watching: TaskSet[None] = TaskSet()
        stack.push_async_callback(watching.cancel)
        report = partial(_report_record, servers.postgres, settings, config_problems)
        watching.keep(
            partial(_watch_record, servers.postgres, checks, clock, identity, report), "watch-record"
        )
        watching.keep(partial(_watch_cache, servers.redis.connection, config_problems), "watch-cache")
        stack.push_async_callback(servers.broker.close)
        events = await stack.enter_async_context(_open_events(settings, role, telemetry))
        ports = _connect_ports(servers, settings, owner, config_problems, clock, identity)
        yield replace(ports, events=events)


@asynccontextmanager
async def _open_events(
    settings: Settings, role: str, telemetry: Telemetry
) -> AsyncIterator[EventBroker | None]:
    """Open the way for events, if this process tells any. Where they are live, all that is announced is told."""
    if settings.events == "off" or (settings.events == "kept" and role != "consumer"):
        yield None
        return
    url = settings.rabbitmq_url.get_secret_value()
    broker = EventBroker(url, f"sluice-{role}", telemetry, settings.publish_budget_s)
    live = LiveEvents(broker, telemetry)
    await broker.start()
    if settings.events == "live":
        telemetry.jobs_changed = live.jobs_changed
    try:
        yield broker
    finally:
        telemetry.jobs_changed = None
        with suppress(TimeoutError):
            async with asyncio.timeout(EVENTS_END_S):
                await live.drain()
        await broker.close()


def _make_servers(
    settings: Settings, name: str, telemetry: Telemetry, checks: ServerChecks, identity: RecordIdentity
) -> Servers:
    url = settings.postgres_url.get_secret_value()
    database = Database(url, name, telemetry, settings.postgres_connections, checks)
    redis = redis_ports(settings, name, telemetry, identity)
    broker = _make_broker(settings, name, redis.cache, telemetry)
    return Servers(database, PostgresServer(database, settings.record_budget_s), redis, broker)


def _make_broker(
    settings: Settings, name: str, cache: RedisDocumentCache, telemetry: Telemetry
) -> Broker | NullBroker:
    url = settings.rabbitmq_url.get_secret_value()
    if not url:
        return NullBroker(cache.call_workers, telemetry)
    return Broker(url, name, [*settings.all_lanes.values()], telemetry, settings.publish_budget_s)


def _connect_ports(
    servers: Servers,
    settings: Settings,
    owner: Owner,
    config_problems: ConfigProblems,
    clock: RecordClock,
    identity: RecordIdentity,
) -> Connections:
    database, _, redis, broker = servers
    return Connections(
        jobs=PostgresJobStore(database, owner, settings),
        control=PostgresControlStore(database, settings),
        listing=PostgresListingStore(database, settings),
        batches=PostgresBatchStore(database, settings),
        bulk=PostgresBulkStore(database, settings),
        endings=PostgresEndingStore(database),
        schedules=PostgresScheduleStore(database, settings.accept_budget_s),
        situations=PostgresSituationStore(database, settings.record_budget_s),
        installation=PostgresInstallationStore(database, settings.record_budget_s),
        lanes=PostgresLaneStore(database, settings.accept_budget_s),
        storage=PostgresStorageStore(database, ADD_UP_S),
        api_keys=PostgresApiKeyStore(database, settings.record_budget_s),
        access=PostgresAccessStore(database, settings.accept_budget_s),
        keeper=PostgresKeeperStore(database, owner),
        webhooks=PostgresWebhookStore(database, settings.accept_budget_s),
        webhook_sender=WebhookSender(read_networks(settings.webhook_allow), __version__),
        verifier=PostgresVerifier(settings.postgres_url.get_secret_value(), settings),
        cache=redis.cache,
        subscriptions=redis.subscriptions,
        board=redis.board,
        live_logs=redis.live_logs,
        rates=redis.rates,
        broker=broker,
        events=None,
        pings=_pings(servers),
        config_problems=config_problems,
        clock=clock,
        identity=identity,
    )


def _pings(servers: Servers) -> dict[str, Callable[[], Awaitable[None]]]:
    return {
        "postgresql": servers.postgres.ping,
        "redis": servers.redis.connection.ping,
        "rabbitmq": partial(servers.broker.ping, 1.0),
    }


async def _watch_record(
    postgres: PostgresServer,
    checks: ServerChecks,
    clock: RecordClock,
    identity: RecordIdentity,
    report: Callable[..., Awaitable[None]],
) -> None:
    settling_in, moved = True, asyncio.Event()
    identity.follow(moved.set)
    while True:
        moved.clear()
        try:
            await checks.check(postgres.ask)
            asked = clock.here()
            clock.learn((await postgres.clock()).timestamp(), asked)
            await report(settling_in=settling_in)
            settling_in = False
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await moved.wait()
        except SluiceError:
            settling_in = True
            await asyncio.sleep(AGAIN_S)


async def _report_record(
    postgres: PostgresServer, settings: Settings, config_problems: ConfigProblems, *, settling_in: bool
) -> None:
    """Report too few connections, and jobs that wait in vain. At the start, and when the record comes back, consumers have yet to say what they serve."""
    with suppress(SluiceError):
        crowding = await describe_crowding(postgres.ask, settings.postgres_connections)
        config_problems.report("connections", crowding)
        found = await describe_unserved(postgres.ask, settings.lanes, lanes_only=settling_in)
        config_problems.report("jobs", found)


async def _watch_cache(redis: RedisConnection, config_problems: ConfigProblems) -> None:
    """Refuse only at the start: what runs without Redis can go on with a badly configured one as well."""
    await _check_cache(redis, config_problems, starting=True)
    await asyncio.sleep(CHECK_S)
    await repeat(partial(_check_cache, redis, config_problems, starting=False), CHECK_S)


async def _check_cache(redis: RedisConnection, config_problems: ConfigProblems, *, starting: bool) -> None:
    with suppress(ServerAway):
        found = await redis.settings()
        grave = is_cluster(found) or refuses_writes(found)
        if starting and grave:
            config_problems.refuse(grave)
        config_problems.report("redis", [line for line in (grave, stops_after_snapshot(found)) if line])
