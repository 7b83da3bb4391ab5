"""`python -m tests.support.busy_keeper URL`: a keeper that does its duties without a pause, to be frozen in mid-statement."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.adapters.postgres.pool import Database
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError
from tests.support.leases import new_owner, rescue
from tests.support.servers import sql_session

NAME = "restless"


async def main(url: str) -> None:
    """Repeat every duty in a task of its own, for ever."""
    database = Database(url, NAME, Telemetry(), size=10)
    async with sql_session(url) as sql:
        keeper = PostgresKeeperStore(database, await new_owner(sql))
    duties: list[Callable[[], Awaitable[object]]] = [
        lambda: keeper.take_due_messages(100),
        lambda: rescue(keeper),
        lambda: keeper.queue_due(100),
        lambda: keeper.offer_lost({("default", "normal"): None}, 10),
        lambda: keeper.fail_overdue(100),
        lambda: keeper.prune_jobs(100),
        lambda: keeper.prune_batches(100),
        lambda: keeper.prune_idempotency_keys(3_600, 100),
        lambda: keeper.count(["default"], 100),
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
