"""What the routes work with; made once at start-up and handed down."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.bulk import Bulk
from api.control import Control
from api.keys import Keyring
from api.listing import Listing
from api.lookup import Lookup
from api.pace import Pace
from api.scheduling import Scheduling
from api.submission import Submission
from api.waiting import Waiting
from core.registry import Registry
from core.settings import Settings

ENVELOPE = 16 * 1024
"""Bytes that POST /v1/jobs takes around an input: kind, options, white space."""


@dataclass(frozen=True, slots=True)
class Desk:
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
    pace: Pace = field(default_factory=Pace)

    @property
    def body_limit(self) -> int:
        """The most bytes that any submit may have."""
        return max((self.registry[kind].max_input for kind in self.registry), default=0) + ENVELOPE
