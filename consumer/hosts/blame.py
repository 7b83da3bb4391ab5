"""Whose fault the end of a shared host was, and which kinds may not share one any more."""

from __future__ import annotations

from collections import Counter, defaultdict
from time import monotonic

STRIKES = 2
"""How often a kind may block or kill the host that it shares."""

WINDOW_S, MOST_SLOW_S = 60.0, 10.0
"""For how much of a minute a kind may hold up the event loop that it shares. What is counted otherwise is forgotten as well."""


class Blame:
    """Counts, by kind, how often one has blocked or killed its host or would not end in it."""

    def __init__(self) -> None:
        self._strikes: Counter[str] = Counter()
        self._slow_s: defaultdict[str, float] = defaultdict(float)
        self._lacks: Counter[str] = Counter()
        self._since = monotonic()

    def strike(self, kind: str) -> bool:
        """Count one; returns whether that is the last straw, and the kind gets a host of its own from now on."""
        self._strikes[kind] += 1
        return self._strikes[kind] == STRIKES

    def quarantined(self, kind: str) -> bool:
        """Tell whether a kind has a host of its own."""
        return self._strikes[kind] >= STRIKES

    def hold_up(self, kind: str, seconds: float) -> bool:
        """Count time for which a kind has held up the event loop; returns whether it gets a host of its own from now on."""
        self._begin_window()
        self._slow_s[kind] += seconds
        if self.quarantined(kind) or self._slow_s[kind] < MOST_SLOW_S:
            return False
        self._strikes[kind] = STRIKES
        return True

    def hear_alone(self, kind: str, lacks: bool) -> None:
        """Count how a job ended alone that lacked memory or files among others."""
        self._begin_window()
        if lacks:
            self._lacks[kind] += 1
        else:
            del self._lacks[kind]

    def lacks_alone(self, kind: str) -> bool:
        """Tell whether jobs of a kind have lately lacked memory or files without others, too."""
        self._begin_window()
        return self._lacks[kind] >= STRIKES

    def _begin_window(self) -> None:
        if monotonic() > self._since + WINDOW_S:
            self._slow_s.clear()
            self._lacks.clear()
            self._since = monotonic()

    @property
    def kinds(self) -> list[str]:
        """The kinds in quarantine."""
        return sorted(kind for kind in self._strikes if self.quarantined(kind))
