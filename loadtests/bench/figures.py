"""What was measured and what it is compared with: samples by round, their median, and goals as ratios or bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from statistics import median


@dataclass(slots=True)
class Figure:
    """One line of the table. `samples` and `cpu_us` have one number for each round, in the same order."""

    name: str
    unit: str
    digits: int = 0
    samples: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    bad: int = 0
    goals: list[Goal] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the middle sample."""
        return median(self.samples)

    def text(self, value: float) -> str:
        """Format a value of this figure."""
        return f"{value:,.{self.digits}f} {self.unit}"

    def add(self, value: float, cpu_us: float | None = None, bad: int = 0) -> None:
        """Add the sample of a round; `bad` counts requests with an unexpected answer."""
        self.samples.append(value)
        self.bad += bad
        if cpu_us is not None:
            self.cpu_us.append(cpu_us)

    def at_least(self, times: float, other: Figure, words: str) -> None:
        """Demand that the median ratio to another figure is at least this."""
        self._compare(times, other, words, least=True)

    def at_most_times(self, times: float, other: Figure, words: str) -> None:
        """Demand that the median ratio to another figure is at most this."""
        self._compare(times, other, words, least=False)

    def at_most(self, bound: float) -> None:
        """Demand that the median stays within a bound."""
        self.goals.append(Goal("", lambda: self.median, bound, digits=self.digits, least=False))

    def _compare(self, times: float, other: Figure, words: str, *, least: bool) -> None:
        digits = 2 if times < 2 else 1
        self.goals.append(Goal(f"times {words}", lambda: ratio(self, other), times, digits, least))


@dataclass(frozen=True, slots=True)
class Goal:
    """A number to reach, or not to exceed."""

    words: str
    read: Callable[[], float]
    bound: float
    digits: int
    least: bool

    @property
    def met(self) -> bool:
        """Tell whether it is reached."""
        return self.read() >= self.bound if self.least else self.read() <= self.bound

    def found(self) -> str:
        """Say what was found; nothing if the median already says it."""
        return "" if not self.words else f"{self.read():,.{self.digits}f} {self.words}"

    def wanted(self) -> str:
        """Say what is wanted."""
        return f"{'≥' if self.least else '≤'} {self.bound:g}"


def ratio(one: Figure, other: Figure) -> float:
    """Return the median of the rounds' ratios: both figures were measured in the same minute."""
    return median(a / b for a, b in zip(one.samples, other.samples, strict=True))


def percentile(samples: list[float], percent: float) -> float:
    """Return the sample that so many percent of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
