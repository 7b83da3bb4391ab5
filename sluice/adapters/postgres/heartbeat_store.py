"""The record for heartbeats, over their own connection, from their own thread and loop."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from sluice.adapters.postgres.pool import connect, translated
from sluice.adapters.postgres.statements import load_queries
from sluice.core.job import Claim
from sluice.core.ports import Beat


class PostgresHeartbeatStore:
    """Implements sluice.core.ports.HeartbeatStore. Deadlines are the caller's."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], lease_s: float) -> None:
        self._connection = connection
        self._query = load_queries()["heartbeat"]
        self._lease_s = lease_s

    async def beat(self, held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        """Extend the lease of every claim that still holds."""
        ids, fences = [claim.id for claim, _ in held], [claim.fence for claim, _ in held]
        try:
            rows = await self._connection.fetch(
                self._query, ids, fences, [progress for _, progress in held], self._lease_s
            )
        except Exception as error:
            raise translated(error) from error
        return [Beat(*row) for row in rows]

    async def close(self) -> None:
        """Close the connection."""
        self._connection.terminate()


async def open_heartbeat(url: str, lease_s: float) -> PostgresHeartbeatStore:
    """Open a heartbeat's own connection. Raises ServerAway."""
    return PostgresHeartbeatStore(await connect(url, "sluice-heartbeat"), lease_s)
