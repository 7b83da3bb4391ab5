"""How long finished jobs are kept, by kind. What is not there any more and old enough to have been pruned has expired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sluice.core.registry import Registry


class Retention(NamedTuple):
    """Seconds for which a finished job is kept: of the kinds that are known here, and of all others."""

    by_kind: Mapping[str, float]
    otherwise_s: float

    @property
    def shortest_s(self) -> float:
        """No job that was made later than this many seconds ago has been pruned."""
        return min(self.otherwise_s, *self.by_kind.values()) if self.by_kind else self.otherwise_s


def retention(registry: Registry, keep_s: float) -> Retention:
    """What the kinds say, under every name they have; `keep_s` for those that say nothing.

    A result that may still be reused is kept for that time at least.
    """
    kept = {name: registry[name] for name in registry.names}
    by_kind = {name: max(kind.keep_s or keep_s, kind.cache_s) for name, kind in kept.items()}
    return Retention(by_kind, keep_s)
