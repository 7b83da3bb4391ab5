"""The record, as clients change and list it: every method asks for the tenant as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.job import Job, Message
from sluice.core.listing import ErrorGroup, Filter, Found


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


class ListingStore(Protocol):
    """The record, as lists and bulk changes use it. Every method asks for the tenant as well, and raises Overloaded."""

    async def list_jobs(
        self, tenant: str, wanted: Filter, below: str, limit: int, open_only: bool = False
    ) -> Found:
        """Jobs below this id that fit, newest first, without results; at most `limit`, and fewer where many do not fit.

        `open_only` leaves out what neither a cancel nor a retry would change any more.
        """

    async def list_errors(self, tenant: str, lowest_id: str, limit: int) -> list[ErrorGroup]:
        """Of the newest failures, at most `limit` and none below this id, the groups, the largest first."""

    async def cancel_jobs(self, tenant: str, ids: Sequence[str]) -> list[Job]:
        """Cancel those of these that have not begun, ask those that run to stop; returns both."""

    async def retry_jobs(self, tenant: str, new_ids: Mapping[str, str]) -> list[Message]:
        """Insert the new job named for each failed one, but for those that have not failed or have one already."""


class ApiKeyRecord(NamedTuple):
    """An API key as stored: never the secret, only its HMAC-SHA256."""

    key_id: str
    tenant: str
    scopes: frozenset[str]
    secret_hmac: bytes
    usable: bool


class ApiKeyStore(Protocol):
    """API keys in the record."""

    async def find_key(self, key_id: str) -> ApiKeyRecord | None:
        """The key with this id, usable or not."""
