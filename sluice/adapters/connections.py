"""Opens what a process speaks to: in order, named after the process, closed in reverse even when the start fails.

Nothing here waits for a server: a process starts with everything down and becomes ready by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sluice.adapters.postgres.api_keys import PostgresKeys
from sluice.adapters.postgres.invariants import Invariants
from sluice.adapters.postgres.listing import PostgresListing
from sluice.adapters.postgres.polling import Pulls
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.schedules import PostgresSchedules
from sluice.adapters.postgres.server_checks import Inspection
from sluice.adapters.postgres.store import Store
from sluice.adapters.postgres.upkeep import Upkeep
from sluice.adapters.rabbitmq import Broker, NullBroker
from sluice.adapters.redis.cache import RedisCache
from sluice.adapters.redis.server_checks import refuses_writes, stops_after_snapshot
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.errors import ServerAway
from sluice.core.runtime.record_clock import RecordClock
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError

Ping = Callable[[], Awaitable[None]]

IDENTITY_S = 30.0
"""How often a process asks which database it speaks to (a restored one must meet an empty cache), its time and settings."""

AGAIN_S = 0.1
"""redis-py swallows a cancellation that meets it while it connects; so what has to end is told again after this."""


@dataclass(frozen=True, slots=True)
class Connections:
    """All that a process speaks to, how to ask each server for a sign of life, and what their settings put in doubt."""

    jobs: Store
    pulls: Pulls
    upkeep: Upkeep
    keys: PostgresKeys
    schedules: PostgresSchedules
    listing: PostgresListing
    cache: RedisCache
    broker: Broker | NullBroker
    pings: Mapping[str, Ping]
    config_problems: ConfigProblems
    clock: RecordClock
    invariants: Invariants


@asynccontextmanager
async def open_connections(
    settings: Settings, role: str, owner: UUID, telemetry: Telemetry
) -> AsyncIterator[Connections]:
    """The connections of one process. `role` is `api` or `consumer`; `owner` is its own id in the record."""
    name = f"sluice-{role}"
    async with AsyncExitStack() as stack:
        config_problems = ConfigProblems(telemetry)
        inspection = Inspection(config_problems, accept=settings.unsafe_durability == "accept")
        database = Database(settings.postgres_url.get_secret_value(), name, telemetry, 10, inspection)
        stack.push_async_callback(database.close)
        store = Store(database, owner, settings)
        cache = RedisCache(settings.redis_url.get_secret_value(), name, telemetry, settings)
        stack.push_async_callback(cache.close)
        clock = RecordClock()
        await _background(stack, _watch_record(store, cache, inspection, clock), "watch-record")
        await _background(stack, _watch_cache(cache, config_problems), "watch-cache")
        broker = _broker(settings, name, cache, telemetry)
        stack.push_async_callback(broker.close)
        pings: dict[str, Ping] = {
            "postgresql": store.ping,
            "redis": cache.ping,
            "rabbitmq": partial(broker.ping, 1.0),
        }
        yield Connections(
            jobs=store,
            pulls=Pulls(database, owner, settings.lease_s),
            keys=PostgresKeys(database, settings.record_budget_s),
            schedules=PostgresSchedules(database, settings.accept_budget_s),
            listing=PostgresListing(database, settings),
            cache=cache,
            broker=broker,
            pings=pings,
            config_problems=config_problems,
            clock=clock,
            invariants=Invariants(settings.postgres_url.get_secret_value(), settings),
            upkeep=Upkeep(database, owner),
        )


def _broker(settings: Settings, name: str, cache: RedisCache, telemetry: Telemetry) -> Broker | NullBroker:
    url = settings.rabbitmq_url.get_secret_value()
    if not url:
        return NullBroker(cache.call_workers, telemetry)
    lanes = [settings.lane(each) for each in settings.lanes]
    return Broker(url, name, lanes, telemetry, settings.publish_budget_s)


async def _watch_record(store: Store, cache: RedisCache, inspection: Inspection, clock: RecordClock) -> None:
    while True:
        try:
            cache.belong_to(await store.database_identity())
            asked = clock.here()
            clock.learn((await store.ask("clock"))[0][0].timestamp(), asked)
            await inspection.judge(store.ask)
            await asyncio.sleep(IDENTITY_S)
        except SluiceError:
            await asyncio.sleep(0.5)


async def _watch_cache(cache: RedisCache, config_problems: ConfigProblems) -> None:
    """Refuse only at the start: what runs without Redis goes on as well with one that is set up badly."""
    starting = True
    while True:
        with suppress(ServerAway):
            found = await cache.settings()
            full = refuses_writes(found)
            if starting and full:
                config_problems.refuse(full)
            config_problems.note("redis", [line for line in (full, stops_after_snapshot(found)) if line])
        starting = False
        await asyncio.sleep(IDENTITY_S)


async def _background(stack: AsyncExitStack, work: Awaitable[None], name: str) -> None:
    task = asyncio.ensure_future(work)

    async def end() -> None:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=AGAIN_S)

    stack.push_async_callback(end)
