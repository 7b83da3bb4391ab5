"""The record for leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sluice.core.job import Claim


class LeaseStore(Protocol):
    """The record, as one consumer keeps its lease in it over a connection of its own. Deadlines are the caller's."""

    async def take(self) -> None:
        """Take a lease under the id of this process."""

    async def renew(self, report: bytes) -> bool:
        """Renew the lease, storing what this consumer reports of its work (JSON); false once it is over, for ever."""

    async def find_cancels(self, claims: Sequence[Claim]) -> list[Claim]:
        """Find those of these claims whose clients have asked for a cancel."""

    async def store_progress(self, progress: Mapping[Claim, bytes]) -> dict[str, int]:
        """Store progress (JSON) of claims that still hold and whose jobs are not locked; returns the new version of each job."""

    async def end(self) -> None:
        """End the lease, as soon as no claim under it can be under way."""

    async def close(self) -> None:
        """Close the connection."""
