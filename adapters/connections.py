"""Opens what a process speaks to: in order, named after the process, closed in reverse even when the start fails.

Nothing here waits for a server: a process starts with everything down and becomes ready by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from adapters.postgres.keys import PostgresKeys
from adapters.postgres.pool import Database
from adapters.postgres.store import Store
from adapters.postgres.upkeep import Upkeep
from adapters.rabbitmq import Broker
from adapters.redis_cache import RedisCache
from core.errors import SluiceError
from core.settings import Settings
from core.telemetry import Telemetry

Ping = Callable[[], Awaitable[None]]

IDENTITY_S = 30.0
"""How often a process asks which database it speaks to: a restored one must meet an empty cache."""


@dataclass(frozen=True, slots=True)
class Connections:
    """All that a process speaks to, and how to ask each server for a sign of life."""

    jobs: Store
    upkeep: Upkeep
    keys: PostgresKeys
    cache: RedisCache
    broker: Broker
    pings: Mapping[str, Ping]


@asynccontextmanager
async def open_connections(
    settings: Settings, role: str, owner: UUID, telemetry: Telemetry
) -> AsyncIterator[Connections]:
    """The connections of one process. `role` is `api` or `consumer`; `owner` is its own id in the record."""
    name = f"sluice-{role}"
    async with AsyncExitStack() as stack:
        database = Database(settings.postgres_url.get_secret_value(), name, telemetry, size=10)
        stack.push_async_callback(database.close)
        store = Store(database, owner, settings)
        cache = RedisCache(settings.redis_url.get_secret_value(), name, telemetry, settings)
        stack.push_async_callback(cache.close)
        await _background(stack, _learn_identity(store, cache), "identity")
        broker = Broker(
            settings.rabbitmq_url.get_secret_value(),
            name,
            [settings.lane(each) for each in settings.lanes],
            telemetry,
            settings.publish_budget_s,
        )
        stack.push_async_callback(broker.close)
        pings: dict[str, Ping] = {
            "postgresql": store.ping,
            "redis": cache.ping,
            "rabbitmq": partial(broker.ping, 1.0),
        }
        yield Connections(
            jobs=store,
            upkeep=Upkeep(database, owner),
            keys=PostgresKeys(database, settings.record_budget_s),
            cache=cache,
            broker=broker,
            pings=pings,
        )


async def _learn_identity(store: Store, cache: RedisCache) -> None:
    while True:
        try:
            cache.belong_to(await store.identity())
            await asyncio.sleep(IDENTITY_S)
        except SluiceError:
            await asyncio.sleep(0.5)


async def _background(stack: AsyncExitStack, work: Awaitable[None], name: str) -> None:
    task = asyncio.ensure_future(work)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)
