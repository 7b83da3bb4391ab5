"""The record for lists and bulk changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sluice.core.access import NOTHING, OPERATOR, Actor, Note
from sluice.core.job import Job, Message
from sluice.core.listing import ErrorGroup, ErrorMark, Filter, Found


class ListingStore(Protocol):
    """The record, as lists and bulk changes use it. Every method asks for the tenant as well, and raises Overloaded."""

    async def list_jobs(
        self, tenant: str, wanted: Filter, below: str, limit: int, open_only: bool = False
    ) -> Found:
        """List jobs below this id that fit, newest first, without results; at most `limit`, fewer if many do not fit.

        `open_only` leaves out jobs that neither a cancel nor a retry would change any more.
        """

    async def list_errors(self, tenant: str, lowest_id: str, limit: int) -> list[ErrorGroup]:
        """Group the newest failures, at most `limit` and none below this id, the largest group first."""

    async def mark_error(
        self, tenant: str, fingerprint: str, mark: ErrorMark | None, by: Actor = OPERATOR
    ) -> None:
        """Mark all failures with this fingerprint until now, or take their mark away."""

    async def cancel_jobs(self, tenant: str, ids: Sequence[str], note: Note = NOTHING) -> list[Job]:
        """Cancel those of these jobs that have not begun, ask those that run to stop; returns both. Writes down that and how many."""

    async def retry_jobs(
        self, tenant: str, new_ids: Mapping[str, str], note: Note = NOTHING
    ) -> list[Message]:
        """Write down and insert the new job given for each failed one, except for those that have not failed or have one already."""
