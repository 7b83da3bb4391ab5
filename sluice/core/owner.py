"""Under which lease this process claims jobs."""

from __future__ import annotations

from uuid import UUID, uuid4

from sluice.core.errors import LeaseOver

LONGEST_CLAIM_S = 5.0
"""Seconds that a statement takes at most."""


class Owner:
    """The lease of this process: running jobs name it. Once it is over it is never renewed, but replaced."""

    def __init__(self) -> None:
        self.id: UUID = uuid4()

    def require(self, lease: UUID) -> None:
        """Raise LeaseOver if this lease has been replaced: what was claimed under it meanwhile is left to its rescue."""
        if lease != self.id:
            raise LeaseOver

    def replace(self) -> None:
        """Begin anew, under another id."""
        self.id = uuid4()


def claim_holds_s(lease_s: float) -> float:
    """Return the seconds for which a lease has to hold when a job is claimed under it, so that no claim comes after its end."""
    return min(LONGEST_CLAIM_S, lease_s / 3)
