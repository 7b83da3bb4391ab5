"""Endings of jobs in the record, for each listener until it has been told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.adapters.postgres.store import Store
from sluice.core.ending import Ending
from sluice.core.job import Job


class PostgresEndingStore(Store):
    """Implements sluice.core.ports.EndingStore, where its methods are described."""

    async def listen(self, listener: str) -> None:
        await self.ask("listen", listener)

    async def stop_listening(self, listener: str) -> None:
        await self.ask("stop_listening", listener)

    async def next_endings(self, listener: str, limit: int) -> list[Ending]:
        rows = await self.ask("next_endings", listener, limit)
        return [Ending(row[0], Job(*row[2:]), row[1]) for row in rows]

    async def drop_endings(self, listener: str, numbers: Sequence[int]) -> None:
        await self.ask("drop_endings", listener, list(numbers))

    async def tell_webhooks(self, bodies: Mapping[int, bytes]) -> int:
        numbers = sorted(bodies)
        rows = await self.ask("tell_webhooks", numbers, [bodies[number] for number in numbers])
        return int(rows[0][0])
