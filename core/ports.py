"""What the flows need from the outside: each port has a real adapter, and a fake held to the same contract tests.

Every method ends within the deadline of its server or raises ServerAway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from core.document import Document
from core.job import Accepted, Claim, Job, KeyUse, Message, NewJob
from core.lifecycle import Transition


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


class Wake(NamedTuple):
    """What a wake-up says of a job: its new version, and whether that is its last."""

    version: int
    finished: bool


class Result(NamedTuple):
    """Which job has the result of some pure work, and when it finished, in seconds since the epoch."""

    job_id: str
    finished_at: float


class KeyRecord(NamedTuple):
    """An API key as stored: never the secret, only its HMAC-SHA256."""

    key_id: str
    tenant: str
    scopes: frozenset[str]
    secret_hmac: bytes
    usable: bool


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


class AttemptRecord(NamedTuple):
    """An attempt that did not succeed, as the record keeps it. `error` is a problem object as JSON bytes."""

    fence: int
    attempt: int
    outcome: str
    started_at: datetime | None
    finished_at: datetime
    error: bytes | None
    traceback: str | None


class ControlStore(Protocol):
    """The record, as clients change it after a submit. Every method asks for the tenant as well."""

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancel what has not begun, ask what runs to stop; None where there is nothing to cancel."""

    async def retry(self, tenant: str, job_id: str, new_id: str) -> list[Message]:
        """Insert a new job that tries a failed one again; empty where it has not failed or has one already."""

    async def find_retry(self, tenant: str, job_id: str) -> Job | None:
        """The job that tries this one again."""

    async def delete_job(self, tenant: str, job_id: str) -> bool:
        """Forget a finished job; false where there is none."""

    async def list_attempts(self, job_id: str) -> list[AttemptRecord]:
        """Every attempt of a job that did not succeed, in order."""


class HeartbeatStore(Protocol):
    """The record, as the heartbeat thread uses it over a connection of its own."""

    async def beat(self, held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        """Extend the lease of every claim that still holds, storing progress (JSON bytes) where there is some new."""

    async def close(self) -> None:
        """Close the connection."""


class DocumentCache(Protocol):
    """Finished documents and wake-ups; losing all of it changes speed, never truth."""

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Finished documents, in the order of the ids."""

    async def find_results(self, prints: Sequence[bytes]) -> list[Result | None]:
        """The newest result of each fingerprint, in the order of the fingerprints."""

    async def announce(
        self, versions: Mapping[str, int], finished: Sequence[Document], results: Mapping[bytes, Job]
    ) -> None:
        """Store finished documents, note results by fingerprint, and wake the waiters of all these ids."""

    async def forget(self, *job_ids: str) -> None:
        """Put a tombstone over documents whose jobs are gone, so that no late writer brings them back, and say so."""

    async def ask_stop(self, job_id: str) -> None:
        """Tell the consumers that a cancel was requested, so that the one that runs it beats at once."""

    async def listen_stops(self, on_stop: Callable[[str], None]) -> None:
        """Call `on_stop` with ids for ever, through every reconnection; returns when cancelled."""

    async def listen_gone(self, on_gone: Callable[[str], None]) -> None:
        """Call `on_gone` with the ids of deleted jobs for ever, like `listen_stops`."""

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Call `on_wake` with wake-ups by id for ever, through every reconnection; returns when cancelled.

        An empty mapping says that some may have been missed.
        """


class Dispatcher(Protocol):
    """Puts ids on RabbitMQ."""

    async def publish(self, message: Message) -> None:
        """Return once RabbitMQ has confirmed the message. Raises ServerAway; the message may still arrive later."""


class Delivery(Protocol):
    """A message in hand."""

    @property
    def body(self) -> bytes:
        """The envelope."""

    @property
    def priority(self) -> str:
        """Which of the lane's queues it came from."""

    def acknowledge(self) -> None:
        """All ids are claimed or accounted for: forget the message. Never blocks, never raises."""


OnDelivery = Callable[[Delivery], None]


class KeyStore(Protocol):
    """API keys in the record."""

    async def find_key(self, key_id: str) -> KeyRecord | None:
        """The key with this id, usable or not."""


class KeeperStore(Protocol):
    """The record, as the keeper uses it. Each call is one tick's work under an advisory try-lock."""

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id, with result and error."""

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Outbox rows whose time has come, put off by 30 s; and how many were dropped as they name no queued job."""

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Delete outbox rows whose messages RabbitMQ has confirmed."""

    async def rescue(self, limit: int) -> list[Job]:
        """Queue, fail or cancel jobs whose lease ran out; returns them as they are now."""

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come; returns id → version."""

    async def redispatch_overtaken(
        self, newest: Mapping[tuple[str, str], datetime], patience_s: float
    ) -> int:
        """Offer queued jobs again that are older by this much than the newest claim of their (lane, priority)."""

    async def redispatch_stranded(self, queues: Sequence[tuple[str, str]], patience_s: float) -> int:
        """Offer queued jobs of these (lane, priority) again, which were queued at least this long ago."""

    async def redispatch_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""
