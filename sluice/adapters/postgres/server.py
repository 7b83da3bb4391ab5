"""Questions to PostgreSQL itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server_checks import READ_ONLY, SERVER
from sluice.core.errors import ServerUnfit


class PostgresServer:
    """The server behind a pool. `budget_s` is the longest wait for an answer."""

    def __init__(self, database: Database, budget_s: float) -> None:
        self._database, self._budget_s = database, budget_s

    async def ping(self) -> None:
        """Ping it. Raises ServerAway if it does not answer, takes no writes, or has just refused one."""
        if not (await self.ask("ping"))[0][0]:
            raise ServerUnfit(SERVER, READ_ONLY)
        if refusal := self._database.refusal:
            raise refusal

    async def clock(self) -> datetime:
        """Return the time by its clock."""
        now: datetime = (await self.ask("clock"))[0][0]
        return now

    async def ask(self, query: str, *args: Any) -> list[Any]:
        """Fetch the rows of a named statement."""
        return await self._database.fetch(query, *args, budget_s=self._budget_s)
