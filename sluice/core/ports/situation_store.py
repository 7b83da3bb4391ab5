"""The record, as it explains a job."""

from __future__ import annotations

from typing import Protocol

from sluice.core.explanation import Situation


class SituationStore(Protocol):
    """The record, as it explains a job."""

    async def find_situation(self, tenant: str, job_id: str) -> Situation | None:
        """Find a job of a tenant with what it waits for, and its newest attempts; None if there is none."""
