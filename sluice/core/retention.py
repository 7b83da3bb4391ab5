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
    kept = {name: registry[name] for name in registry.names}
    by_kind = {name: max(kind.keep_s or keep_s, kind.cache_s) for name, kind in kept.items()}
    return Retention(by_kind, keep_s)
