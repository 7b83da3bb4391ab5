"""Whose fault the end of a shared host was, and which kinds may not share one any more."""

from __future__ import annotations

from collections import Counter

STRIKES = 2
"""How often a kind may block or kill the host that it shares."""


class Blame:
    """Counts, by kind, how often one has blocked or killed its host or would not end in it."""

    def __init__(self) -> None:
        self._strikes: Counter[str] = Counter()

    def strike(self, kind: str) -> bool:
        """Count one; returns whether that is the last straw, and the kind gets a host of its own from now on."""
        self._strikes[kind] += 1
        return self._strikes[kind] == STRIKES

    def quarantined(self, kind: str) -> bool:
        """Tell whether a kind has a host of its own."""
        return self._strikes[kind] >= STRIKES

    @property
    def kinds(self) -> list[str]:
        """The kinds in quarantine."""
        return sorted(kind for kind in self._strikes if self.quarantined(kind))
