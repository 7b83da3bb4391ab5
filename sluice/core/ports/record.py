"""The record, as both flows use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.job import Accepted, Claim, Job, KeyUse, NewJob
from sluice.core.lifecycle import Transition


class Settled(NamedTuple):
    """A transition as the record took it: a requested cancel may have turned it into `cancelled`."""

    id: str
    fence: int
    state: str
    version: int
    finished_at: datetime | None


class Beat(NamedTuple):
    """The record's answer to a heartbeat for one claim that still holds; `moved` says that progress made a new version."""

    id: str
    fence: int
    cancel_requested: bool
    version: int = 0
    moved: bool = False


class JobStore(Protocol):
    """The record, as both flows use it."""

    async def accept(self, jobs: Sequence[NewJob]) -> Accepted:
        """Write jobs and outbox in one statement. Raises OutcomeUnknown, BadRow, TryAgain, ServerAway."""

    async def find_same(self, wanted: Mapping[bytes, float]) -> dict[bytes, Job]:
        """Of each fingerprint the newest success that is younger than so many seconds, or else the job under way."""

    async def find_keys(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], KeyUse]:
        """What these (tenant, key) stand for, where they were used."""

    async def keep_key(self, tenant: str, key: str, use: KeyUse) -> bool:
        """Let a key stand for a job that was there before it; false where it stands for another already."""

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id, with result and error; unknown ids are left out."""

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Delete outbox rows whose messages RabbitMQ has confirmed."""

    async def claim(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Job]:
        """Take queued jobs of these kinds, raising their fence; ids that are not returned were not to be had."""

    async def account(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Job]:
        """Deal with ids that could not be claimed: fail the overdue (returned), put off kinds unknown here."""

    async def adopt(self, ids: Sequence[str]) -> list[Job]:
        """Jobs of these that this process holds already: claims whose reply was lost."""

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        """Write endings, guarded by fence and state; refused ones are left out."""

    async def identity(self) -> str:
        """Which database this is, and which of its histories: a restored one meets empty caches."""


class PollingStore(Protocol):
    """The record, as consumers use it while RabbitMQ is away."""

    async def pull(self, lane: str, limit: int, kinds: Sequence[str], turns: Mapping[str, int]) -> list[Job]:
        """Claim the oldest queued jobs of a lane, in turns by priority (sluice.core.lanes.Turns); the overdue come back failed."""

    async def adopt_lane(self, lane: str) -> list[Job]:
        """Jobs of this lane that this process holds."""


class HeartbeatStore(Protocol):
    """The record, as the heartbeat thread uses it over a connection of its own."""

    async def beat(self, held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        """Extend the lease of every claim that still holds, storing progress (JSON bytes) where there is some new."""

    async def close(self) -> None:
        """Close the connection."""
