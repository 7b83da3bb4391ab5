"""Which faults come when: a seed decides it before anything runs, so the same seed breaks the same things again."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

SERVERS = ("rabbitmq", "redis", "postgres")
EDGES = tuple(f"{process}-{server}" for process in ("api", "consumer") for server in SERVERS)
LEAD_S = 3.0
"""Seconds of undisturbed load before the first fault."""


class Kind(NamedTuple):
    """A kind of fault: what it may hit, and how many seconds it lasts (for a death: until the restart).

    What hangs is first frozen for that long, then killed and started, as people do it.
    """

    targets: tuple[str, ...]
    least_s: float
    most_s: float


class Fault(NamedTuple):
    """One fault of a schedule; `at_s` counts from the beginning of the load."""

    at_s: float
    kind: str
    target: str
    lasts_s: float

    def __str__(self) -> str:
        return f"{self.at_s:7.1f} s  {self.kind:<18} {self.target:<18} {self.lasts_s:4.1f} s"


CONNECTIONS = 80
"""To PostgreSQL, in all: of its 100 some are for leases, the standby and the run itself."""


class ProcessCounts(NamedTuple):
    """How many processes there are, and how many of each the faults spare (the last ones)."""

    apis: int = 2
    consumers: int = 3
    spared: int = 0

    @property
    def connections(self) -> int:
        """Return how many connections to PostgreSQL each may open: a fleet has to share what the server takes."""
        return min(10, CONNECTIONS // (self.apis + self.consumers))

    def targets(self, role: str) -> tuple[str, ...]:
        """Return the names of those that may be hit."""
        every = self.apis if role == "api" else self.consumers
        return tuple(f"{role}-{number}" for number in range(every - self.spared))


LEASE_S = 2.5
"""The lease of the processes under test: a frozen one has to sleep for longer to lose its work."""

BLOCKED_S = 3.0
"""How long a host of the processes under test may be silent: some that are frozen go on, others are ended."""

HOSTS: Mapping[str, int] = {
    "host-kill": 5, "host-freeze": 3, "host-starve": 3, "host-garbage": 3, "host-hang-up": 2, "slot-kill": 2,
    "slot-freeze": 1, "consumer-kill": 2,
}  # fmt: skip
"""Faults of the processes that run handlers."""

FULL: Mapping[str, int] = {
    "api-kill": 6, "api-stop": 1,
    "consumer-kill": 12, "consumer-freeze": 6, "consumer-stop": 2,
    "host-kill": 4, "host-freeze": 3, "host-starve": 2, "host-garbage": 2, "host-hang-up": 1, "slot-kill": 2, "slot-freeze": 1,
    "rabbitmq-kill": 3, "rabbitmq-freeze": 1, "rabbitmq-hang": 1, "rabbitmq-wipe": 1, "rabbitmq-alarm": 1, "rabbitmq-purge": 1, "rabbitmq-delete": 1,
    "redis-kill": 2, "redis-freeze": 1, "redis-flush": 1,
    "postgres-kill": 4, "postgres-freeze": 1, "postgres-hang": 1,
    "edge-slow": 2, "edge-silent": 2, "edge-reset": 1, "edge-cut": 1,
    "wipe-and-flush": 1,
}  # fmt: skip
"""The 68 faults of `make fault`, which `make soak` repeats."""

SHORT: Mapping[str, int] = {
    "api-kill": 1, "consumer-kill": 2, "consumer-freeze": 1, "redis-kill": 1, "postgres-kill": 1, "edge-reset": 1,
    "host-kill": 1, "host-garbage": 1,
    "wipe-and-flush": 1,
}  # fmt: skip
"""The faults of every test run."""

FAILOVER: Mapping[str, int] = {
    "postgres-promote": 4, "postgres-kill": 1, "redis-switch": 4, "leader-kill": 2, "leader-freeze": 1,
    "api-kill": 1, "consumer-kill": 3, "edge-reset": 2,
}  # fmt: skip
"""Servers that are replaced by their spares."""

CLUSTER: Mapping[str, int] = {
    "leader-kill": 5, "leader-freeze": 2, "rabbitmq-kill": 2, "api-kill": 1, "consumer-kill": 3,
}  # fmt: skip
"""Nodes of a RabbitMQ cluster that die and freeze."""

WITH_SPARES = frozenset({"postgres-promote", "redis-switch", "leader-kill", "leader-freeze"})
"""Faults that need servers with spares."""


def kinds(processes: ProcessCounts) -> Mapping[str, Kind]:
    """Return every kind of fault."""
    api, consumer = processes.targets("api"), processes.targets("consumer")
    return {
        "api-kill": Kind(api, 0.0, 2.0),
        "api-stop": Kind(api, 0.0, 1.0),
        "consumer-kill": Kind(consumer, 0.0, 2.0),
        "consumer-freeze": Kind(consumer, LEASE_S + 0.5, LEASE_S + 3.0),
        "consumer-stop": Kind(consumer, 0.0, 1.0),
        "host-kill": Kind(consumer, 0.0, 0.0),
        "host-freeze": Kind(consumer, 0.5, BLOCKED_S + 3.0),
        "host-starve": Kind(consumer, 2.0, 4.0),
        "host-garbage": Kind(consumer, 0.0, 0.0),
        "host-hang-up": Kind(consumer, 0.0, 0.0),
        "slot-kill": Kind(consumer, 0.0, 0.0),
        "slot-freeze": Kind(consumer, 0.5, 3.0),
        "rabbitmq-kill": Kind(("rabbitmq",), 0.0, 3.0),
        "rabbitmq-freeze": Kind(("rabbitmq",), 8.0, 20.0),
        "rabbitmq-hang": Kind(("rabbitmq",), 2.0, 5.0),
        "rabbitmq-wipe": Kind(("rabbitmq",), 0.0, 2.0),
        "rabbitmq-alarm": Kind(("rabbitmq",), 3.0, 6.0),
        "rabbitmq-purge": Kind(("rabbitmq",), 0.0, 0.0),
        "rabbitmq-delete": Kind(("rabbitmq",), 0.0, 0.0),
        "redis-kill": Kind(("redis",), 0.0, 3.0),
        "redis-freeze": Kind(("redis",), 2.0, 4.0),
        "redis-flush": Kind(("redis",), 0.0, 0.0),
        "postgres-kill": Kind(("postgres",), 0.0, 2.0),
        "postgres-freeze": Kind(("postgres",), 2.0, 4.0),
        "postgres-hang": Kind(("postgres",), 1.0, 3.0),
        "edge-slow": Kind(EDGES, 3.0, 6.0),
        "edge-silent": Kind(EDGES, 3.0, 8.0),
        "edge-reset": Kind(EDGES, 0.0, 0.0),
        "edge-cut": Kind(EDGES, 2.0, 4.0),
        "wipe-and-flush": Kind(("rabbitmq+redis",), 0.0, 2.0),
        "postgres-promote": Kind(("postgres",), 0.0, 2.0),
        "redis-switch": Kind(("redis",), 0.0, 2.0),
        "leader-kill": Kind(("rabbitmq",), 0.0, 3.0),
        "leader-freeze": Kind(("rabbitmq",), 8.0, 20.0),
    }


def schedule(seed: int, seconds: float, mix: Mapping[str, int], processes: ProcessCounts) -> list[Fault]:
    """Spread so many faults of each kind evenly over the seconds, in an order that the seed decides.

    Raises KeyError for an unknown kind.
    """
    rng, known = Random(seed), kinds(processes)
    order = [name for name, count in sorted(mix.items()) for _ in range(count)]
    rng.shuffle(order)
    width = (seconds - LEAD_S) / max(1, len(order))
    return [
        _fault(rng, LEAD_S + (place + rng.uniform(0, 0.3)) * width, name, known[name])
        for place, name in enumerate(order)
    ]


def repeated(mix: Mapping[str, int], times: int) -> dict[str, int]:
    """Return the same mix so many times."""
    return {name: count * times for name, count in mix.items()}


def _fault(rng: Random, at_s: float, name: str, kind: Kind) -> Fault:
    return Fault(
        round(at_s, 1), name, rng.choice(kind.targets), round(rng.uniform(kind.least_s, kind.most_s), 1)
    )
