"""The installation, from the record."""

from __future__ import annotations

from typing import Any

import orjson

from sluice.adapters.postgres.server_checks import NEWEST_REVISION
from sluice.adapters.postgres.store import Store
from sluice.core.errors import Malformed
from sluice.core.installation import RecordFacts, SeenConsumer, TableSize
from sluice.core.queue_stats import Works, read_works


class PostgresInstallationStore(Store):
    """Implements sluice.core.ports.InstallationStore, where its methods are described."""

    async def list_consumers(self, after: str, limit: int) -> list[SeenConsumer]:
        return [_read(dict(row)) for row in await self.ask("list_consumers", after, limit)]

    async def describe_record(self) -> RecordFacts:
        [row] = await self.ask("describe_record")
        tables = [TableSize(*each) for each in orjson.loads(row["tables"])]
        return RecordFacts(
            row["release"], row["revision"] or "none", NEWEST_REVISION, row["oldest_transaction_s"], tables
        )


def _read(row: dict[str, Any]) -> SeenConsumer:
    works = _read_works(row.pop("report"))
    return SeenConsumer(works=works, **row)


def _read_works(report: str) -> Works:
    try:
        return read_works(report)
    except Malformed:
        return {}
