"""The record for leases, over a connection of their own."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from sluice import __version__
from sluice.adapters.postgres.pool import RELEASE_S, connect, translated
from sluice.adapters.postgres.statements import load_queries
from sluice.core.job import Claim
from sluice.core.owner import Owner, claim_holds_s


class Serves(NamedTuple):
    """The lanes and kinds of which a consumer takes jobs, and the versions of the kinds."""

    lanes: Sequence[str]
    kinds: Mapping[str, int]


class PostgresLeaseStore:
    """Implements sluice.core.ports.LeaseStore, where its methods are described."""

    def __init__(
        self, connection: asyncpg.Connection[asyncpg.Record], owner: Owner, serves: Serves, lease_s: float
    ) -> None:
        self._connection, self._owner, self._serves, self._lease_s = connection, owner, serves, lease_s

    async def take(self) -> None:
        lanes, kinds = self._serves
        await self._fetch(
            "take_lease", self._owner.id, socket.gethostname(), os.getpid(), __version__,
            lanes, list(kinds), list(kinds.values()), self._lease_s,
        )  # fmt: skip

    async def renew(self, report: bytes) -> bool:
        return bool(await self._fetch("renew_lease", self._owner.id, self._lease_s, report.decode()))

    async def find_cancels(self, claims: Sequence[Claim]) -> list[Claim]:
        rows = await self._fetch("find_cancels", *zip(*claims, strict=True)) if claims else []
        return [Claim(*row) for row in rows]

    async def store_progress(self, progress: Mapping[Claim, bytes]) -> dict[str, int]:
        rows = await self._fetch("store_progress", *zip(*progress, strict=True), list(progress.values()))
        return {row["id"]: row["version"] for row in rows}

    async def end(self) -> None:
        await self._fetch("end_lease", self._owner.id, claim_holds_s(self._lease_s))

    async def close(self) -> None:
        # Not `terminate`, which cancels nothing first: a COMMIT that waits for a standby never looks at its client.
        await self._connection.close(timeout=RELEASE_S)

    async def _fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        try:
            return await self._connection.fetch(load_queries()[query], *values)
        except Exception as error:
            raise translated(error) from error


async def open_lease_store(url: str, owner: Owner, serves: Serves, lease_s: float) -> PostgresLeaseStore:
    """Open a connection for one consumer's lease. Raises ServerAway."""
    return PostgresLeaseStore(await connect(url, "sluice-lease"), owner, serves, lease_s)
