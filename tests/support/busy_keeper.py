"""`python -m tests.support.busy_keeper URL`: a keeper that does its duties without a pause, to be frozen in mid-statement."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

from consumer.keeper.prune import FIRST_ID, FIRST_KEY
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.store import Store
from sluice.adapters.postgres.upkeep import Upkeep
from sluice.core.retention import Retention
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError

NAME = "restless"


async def main(url: str) -> None:
    """Repeat every duty in a task of its own, for ever."""
    settings = Settings(
        _env_file=None, postgres_url=url, redis_url="-", rabbitmq_url="-", key_pepper="-" * 16, lease_s=0.001
    )
    database = Database(url, NAME, Telemetry(), size=10)
    store, upkeep = Store(database, uuid4(), settings), Upkeep(database, uuid4())
    duties: list[Callable[[], Awaitable[object]]] = [
        lambda: store.take_due_messages(100),
        lambda: store.rescue(100),
        lambda: store.queue_due(100),
        lambda: store.redispatch_stranded([("default", "normal")], 10),
        lambda: upkeep.fail_overdue(100),
        lambda: upkeep.prune_jobs(FIRST_ID, Retention({}, 3_600), 100),
        lambda: upkeep.prune_idempotency_keys(FIRST_KEY, 3_600, 100),
        lambda: upkeep.count(["default"], 100, 0),
    ]
    async with asyncio.TaskGroup() as group:
        for duty in duties:
            group.create_task(again_and_again(duty))


async def again_and_again(duty: Callable[[], Awaitable[object]]) -> None:
    """Repeat the duty, whatever goes wrong."""
    while True:
        with suppress(SluiceError):
            await duty()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
