"""Questions to PostgreSQL itself."""

from __future__ import annotations

from sluice.adapters.postgres.server_checks import READ_ONLY, SERVER
from sluice.adapters.postgres.store import Store
from sluice.core.errors import ServerUnfit


class PostgresServer(Store):
    """The server behind a pool."""

    async def ping(self) -> None:
        """Ping it. Raises ServerAway if it does not answer, takes no writes, or has just refused one."""
        if not (await self.ask("ping"))[0][0]:
            raise ServerUnfit(SERVER, READ_ONLY)
        if refusal := self._database.refusal:
            raise refusal
