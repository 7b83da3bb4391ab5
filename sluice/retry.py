"""The retry policy: how many attempts, and how long to wait between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random

MOST_ATTEMPTS = 1_000_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).

    Before attempt n + 1 a job waits between 0 and `min(cap_s, base_s * 2 ** (n - 1))` seconds.
    `max_attempts` counts the first one.
    """

    max_attempts: int = 5
    base_s: float = 2.0
    cap_s: float = 600.0

    def __post_init__(self) -> None:
        whole = isinstance(self.max_attempts, int) and 1 <= self.max_attempts <= MOST_ATTEMPTS
        if not (whole and 0 <= self.base_s < inf and 0 <= self.cap_s < inf):
            raise ValueError(
                f"a retry policy has 1 to {MOST_ATTEMPTS} attempts and finite waits, unlike {self}"
            )

    def delay_s(self, attempt: int, rng: Random) -> float:
        """Seconds to wait after the try with this number (from 1)."""
        return rng.uniform(0, min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 40)))
