"""How long finished jobs are kept. A missing job has expired if it is old enough to have been pruned."""

from __future__ import annotations

from sluice.core.registry import Kind, Registry


def kept_s(kind: Kind, keep_s: float) -> float:
    """Return the seconds for which finished jobs of a kind are kept: `keep_s` if it declares nothing.

    A result that may still be reused is kept at least for that long.
    """
    return max(kind.keep_s or keep_s, kind.cache_s)


def shortest_kept_s(registry: Registry[Kind], keep_s: float) -> float:
    """Return the seconds within which no finished job can have been pruned, of these kinds or of one that is not known here."""
    return min([keep_s, *(kept_s(registry[kind], keep_s) for kind in registry)])
