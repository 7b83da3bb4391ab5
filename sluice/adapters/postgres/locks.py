"""Advisory locks that let one keeper at a time perform a duty.

Releases that run side by side have to agree on the numbers: they never change.
"""

from __future__ import annotations

from enum import IntEnum


class Lock(IntEnum):
    """A number for each duty."""

    REDISPATCH = 7_519_010
    RESCUE = 7_519_011
    DUE = 7_519_012
    OVERTAKEN = 7_519_013
    STRANDED = 7_519_014
    VERIFY = 7_519_020
    PRUNE_JOBS = 7_519_040
    PRUNE_KEYS = 7_519_041
    OVERDUE = 7_519_042
    COUNT = 7_519_043
