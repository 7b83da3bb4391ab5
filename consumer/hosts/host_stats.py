"""What has happened to hosts: counted for /metrics, written to the log, shown by /check."""

from __future__ import annotations

from collections import Counter, defaultdict
from time import monotonic
from typing import Any

from consumer.attempt import Attempt
from consumer.hosts.host import Blockage, Death, Host
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import name_trace
from sluice.host.log_line import fields_of_job


class HostStats:
    """Counts since the consumer began. `replaced` is by reason, the others are by kind (empty: not known)."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.replaced: Counter[str] = Counter()
        self.stuck: Counter[str] = Counter()
        self.stuck_at: dict[str, float] = {}
        self.blocked_s: defaultdict[str, float] = defaultdict(float)

    def add_renewed(self, host: str, why: str) -> None:
        """Count a host that was worn."""
        self.replaced[why] += 1
        self._telemetry.emit(Event.HOST_RENEWED, host=host, why=why)

    def add_died(self, host: Host, death: Death) -> None:
        """Count a host that died."""
        self.replaced["died"] += 1
        job: dict[str, Any] = {**fields_of_job(death.job)}
        self._telemetry.emit(Event.HOST_DIED, host=host.name, why=death.how, where=death.where, **job)

    def add_blocked(self, host: Host, blockage: Blockage) -> None:
        """Count a blockage of a host's event loop that is over, perhaps with the host."""
        seconds = monotonic() - blockage.since
        self.blocked_s[blockage.kind] += seconds
        self.replaced["blocked"] += host.ending
        self._telemetry.emit(
            Event.BLOCKED, host=host.name, kind=blockage.kind, job_id=blockage.job_id, where=blockage.where,
            seconds=round(seconds, 1),
        )  # fmt: skip

    def add_stuck(self, host: str, attempt: Attempt) -> None:
        """Count a handler that went on although its job was over."""
        self.stuck[attempt.info.kind] += 1
        self.stuck_at[attempt.info.kind] = monotonic()
        job = attempt.job
        named: dict[str, Any] = {
            "kind": job.kind,
            "job_id": job.id,
            "attempt": job.attempt,
            **name_trace(job.traceparent),
        }
        self._telemetry.emit(Event.STUCK, host=host, **named)

    def add_quarantined(self, kind: str) -> None:
        """Report a kind that gets a host of its own from now on."""
        self._telemetry.emit(Event.QUARANTINED, kind=kind)
