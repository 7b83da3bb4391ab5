"""The record for bulk acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sluice.core.access import Actor
from sluice.core.bulk import BulkAct, NewBulkAct
from sluice.core.job import IdempotencyKeyUse, Job, Message


class Matching(NamedTuple):
    """Jobs that fit, newest first; `below` is the id below which there may be more, None at the end."""

    ids: list[str]
    below: str | None


class BulkStore(Protocol):
    """The record, as requests write and read bulk acts."""

    async def open_act(self, new: NewBulkAct, by: Actor) -> BulkAct | None:
        """Store an act and who began it; None if its key is taken, or the tenant has as many as it may."""

    async def find_act_by_key(self, tenant: str, key: str) -> IdempotencyKeyUse | None:
        """Find the act for which a key was used, and for which request."""

    async def find_act(self, tenant: str, act_id: str) -> BulkAct | None:
        """Find an act of a tenant."""

    async def list_acts(self, tenant: str, below: str, limit: int) -> list[BulkAct]:
        """List the acts of a tenant below this id, newest first."""

    async def go(self, tenant: str, act_id: str, version: int | None, by: Actor) -> BulkAct | None:
        """Let an act go on that waits, at this version if one is named; None if it does not."""

    async def abort(self, tenant: str, act_id: str, by: Actor) -> BulkAct | None:
        """Abort an act; None if it has ended."""


class BulkStepStore(Protocol):
    """The record, as keepers carry bulk acts on.

    A step is one statement that changes jobs and moves the act: if another step was taken since this `version` of it, it does nothing.
    """

    async def take_due_acts(self, keeper: str, limit: int) -> list[BulkAct]:
        """Take the acts whose next step is due within a second, those of this keeper and of none."""

    async def find_matching(self, act: BulkAct, limit: int) -> Matching:
        """Look for the next jobs that an act would change, at a bounded cost: fewer are found if many do not fit."""

    async def count_on(self, act: BulkAct, found: Matching) -> None:
        """Take a step of a dry run."""

    async def cancel_batch(self, act: BulkAct, found: Matching) -> list[Job]:
        """Take a step that cancels these jobs; returns those that were changed."""

    async def retry_batch(
        self, act: BulkAct, found: Matching, new_ids: Mapping[str, str]
    ) -> Sequence[Message]:
        """Take a step that makes the new job given for each of these."""

    async def delete_batch(self, act: BulkAct, found: Matching) -> list[str]:
        """Take a step that deletes these jobs; returns those that are gone."""

    async def judge_act(self, act: BulkAct) -> str | None:
        """Take a step that judges the canary of a retry; returns the state of the act, None if nothing was done."""

    async def put_off_act(self, act_id: str, seconds: float, reason: str | None = None) -> None:
        """Put off the next step of an act, which says why until then."""

    async def list_lanes(self, ids: Sequence[str]) -> list[str]:
        """List the lanes of these jobs."""

    async def prune_acts(self, limit: int) -> int:
        """Delete acts that were kept for long enough, at most so many; returns how many."""
