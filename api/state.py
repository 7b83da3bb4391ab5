"""What the routes work with; made once at start-up and handed down."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.http.retry_after import RetryAfterAdvisor
from api.jobs.control import Control
from api.jobs.lookup import Lookup
from api.jobs.submit import Submission
from api.jobs.wait import Waiting
from api.keys.keyring import Keyring
from api.listing.bulk import Bulk
from api.listing.listing import Listing
from api.schedules.schedules import Scheduling
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings

ENVELOPE = 16 * 1024
"""Bytes that POST /v1/jobs takes around an input: kind, options, white space."""


@dataclass(frozen=True, slots=True)
class ApiState:
    """The flows and what they were made with."""

    settings: Settings
    registry: Registry
    keyring: Keyring
    submission: Submission
    lookup: Lookup
    waiting: Waiting
    control: Control
    scheduling: Scheduling
    listing: Listing
    bulk: Bulk
    advisor: RetryAfterAdvisor = field(default_factory=RetryAfterAdvisor)

    @property
    def body_limit(self) -> int:
        """The most bytes that any submit may have."""
        return max((self.registry[kind].max_input for kind in self.registry), default=0) + ENVELOPE
