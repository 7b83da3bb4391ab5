"""How long finished jobs are kept, by kind. A missing job has expired if it is old enough to have been pruned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sluice.core.registry import Kind, Registry


class Retention(NamedTuple):
    """Seconds for which a finished job is kept: by kind, and for kinds that this process does not know."""

    by_kind: Mapping[str, float]
    otherwise_s: float

    @property
    def shortest_s(self) -> float:
        """Seconds: no job younger than this can have been pruned."""
        return min(self.otherwise_s, *self.by_kind.values()) if self.by_kind else self.otherwise_s


def retention(registry: Registry[Kind], keep_s: float) -> Retention:
    """Collect what the kinds declare, under every name they have; those that declare nothing get `keep_s`.

    A result that may still be reused is kept at least for that long.
    """
    return Retention({name: kept_s(registry[name], keep_s) for name in registry.names}, keep_s)


def kept_s(kind: Kind, keep_s: float) -> float:
    """Return the seconds for which finished jobs of a kind are kept."""
    return max(kind.keep_s or keep_s, kind.cache_s)
