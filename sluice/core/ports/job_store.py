"""The record for submit, look-up and execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from sluice.core.job import Accepted, IdempotencyKeyUse, Job, NewJob
from sluice.core.lifecycle import Transition


class Settled(NamedTuple):
    """A transition as the record took it: a requested cancel may have turned it into `cancelled`."""

    id: str
    fence: int
    owner: UUID | None
    state: str
    version: int
    finished_at: datetime | None


class KnownVersion(NamedTuple):
    """Which version of a tenant's job is known; 0 for none."""

    tenant: str
    id: str
    version: int


class JobVersion(NamedTuple):
    """Which version a job has, and the job itself if another one was known.

    `since` is when it was queued, when it started, or when a scheduled job is due.
    """

    version: int
    state: str
    lane: str
    since: datetime | None
    job: Job | None


class JobStore(Protocol):
    """The record, as both flows use it."""

    async def accept(self, jobs: Sequence[NewJob], *, whole: bool = False) -> Accepted:
        """Write jobs and outbox in one statement. Raises OutcomeUnknown, BadRow, TryAgain, ServerAway.

        With `whole` all are written or none: it raises TryAgain if any would have been skipped.
        """

    async def find_same(self, wanted: Mapping[bytes, float]) -> dict[bytes, Job]:
        """Find, for each fingerprint, the newest success younger than so many seconds, or else the job under way.

        Results are left out as they are by `look_up`.
        """

    async def find_idempotency_keys(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], IdempotencyKeyUse]:
        """Find what each used (tenant, key) stands for."""

    async def bind_idempotency_key(self, tenant: str, key: str, use: IdempotencyKeyUse) -> bool:
        """Let a key stand for a job that was there before it; false if it stands for another already."""

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Read jobs by id, with result and error; unknown ids are left out.

        Once 4 MiB of results are found, those of further jobs are left out (`Job.is_cut`).
        """

    async def look_at(self, ids: Sequence[str]) -> dict[str, Job]:
        """Read jobs by id, without their results; unknown ids are left out."""

    async def find_changed(self, known: Sequence[KnownVersion]) -> list[JobVersion | None]:
        """Find how jobs stand, in the order in which they are asked for, and read those that are not as known; None for no such job.

        Once 4 MiB of results are found, those of further jobs are left out (`Job.is_cut`).
        """

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Delete outbox rows whose messages RabbitMQ has confirmed."""

    async def claim(
        self, ids: Sequence[str], kinds: Mapping[str, int], *, skip_locked: bool = False
    ) -> list[Job]:
        """Take queued jobs of these kinds, up to their versions, raising their fence; ids that are not returned could not be claimed.

        Waits for jobs that are locked, and raises TryAgain if that takes seconds; with `skip_locked` they are not returned.
        A job of an older version loses its fingerprint: its result is none of that version.
        A job whose input is longer than 64 KiB comes without it, as from every method that hands out jobs to run.
        """

    async def read_input(self, job_id: str) -> bytes:
        """Read an input that was too long to come with its claim; empty if it is not there."""

    async def defer_unclaimed(self, ids: Sequence[str], kinds: Mapping[str, int]) -> list[Job]:
        """Deal with ids that could not be claimed: fail the overdue (returned), put off kinds and versions unknown here."""

    async def recover_lost_claims(self, ids: Sequence[str]) -> list[Job]:
        """Read those of these jobs that this process already holds: claims whose reply was lost."""

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        """Write endings, guarded by fence, owner and state; those are left out that are refused, or whose jobs are locked."""

    async def pull(
        self, lane: str, limit: int, kinds: Mapping[str, int], turns: Mapping[str, int]
    ) -> list[Job]:
        """Claim the oldest queued jobs of a lane, without a hint; the overdue come back failed.

        Priorities take turns (sluice.core.lanes.Turns).
        """

    async def recover_lane_claims(self, lane: str, kinds: Mapping[str, int]) -> list[Job]:
        """Read the jobs of this lane and of these kinds that this process holds."""
