"""What clients asked for and what they were told; `checker` compares it with the record."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

EXAMPLES = 5
"""Occurrences of a violation that are kept in detail."""


class Violations:
    """Broken promises by name, with some examples of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, name: str, example: object) -> None:
        """Count one more."""
        self.counts[name] += 1
        if len(self.examples[name]) < EXAMPLES:
            self.examples[name].append(str(example))


@dataclass(slots=True)
class RequestedJob:
    """A piece of work that a tenant wants done once, in however many requests.

    `ids` are the jobs it was acknowledged with; `unknown` says that a request ended without an answer, `refused` that one
    was told that nothing was accepted, `cancel_requested` that a cancel was asked for, `cancelled` that it was promised.
    """

    number: int
    kind: str
    tenant: str = "demo"
    key: str | None = None
    ids: tuple[str, ...] = ()
    unknown: bool = False
    refused: bool = False
    cancel_requested: bool = False
    cancelled: bool = False

    def acknowledge(self, job_id: str) -> None:
        """Note that it was acknowledged with this job."""
        if job_id not in self.ids:
            self.ids += (job_id,)


class Latencies:
    """How long requests took, by route, in whole milliseconds."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def add(self, route: str, seconds: float) -> None:
        """Count one answer."""
        self._counts[route][int(seconds * 1000)] += 1

    def routes(self) -> list[str]:
        """Return the routes that were asked."""
        return sorted(self._counts)

    def percentile(self, route: str, share: float) -> int:
        """Return the milliseconds within which this share was answered."""
        counts = self._counts[route]
        left = share * counts.total()
        for millis in sorted(counts):
            left -= counts[millis]
            if left <= 0:
                return millis
        return max(counts, default=0)

    def later_than(self, route: str, seconds: float) -> int:
        """Return how many answers took longer."""
        return sum(count for millis, count in self._counts[route].items() if millis > seconds * 1000)


class ClientLog:
    """Everything the clients know.

    `unfinished_at` is when a followed job was last asked for and shown to be unfinished (seconds since the epoch).
    """

    def __init__(self) -> None:
        self.jobs: dict[int, RequestedJob] = {}
        self.pure: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.unfinished_at: dict[str, float] = {}
        self.answers: Counter[tuple[str, int]] = Counter()
        self.latencies = Latencies()
        self.violations = Violations()
        self.attempted = self.acknowledged = self.not_sent = self.replayed = self.followed = 0

    def add_job(self, number: int, kind: str, tenant: str = "demo", key: str | None = None) -> RequestedJob:
        """Note a job that is about to be requested."""
        self.jobs[number] = RequestedJob(number, kind, tenant, key)
        return self.jobs[number]

    def promised(self) -> dict[str, int]:
        """Return the number behind every acknowledged id."""
        own = {job_id: job.number for job in self.jobs.values() for job_id in job.ids}
        return own | {job_id: number for (_, number), ids in self.pure.items() for job_id in ids}
