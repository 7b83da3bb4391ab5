"""Named events: flows emit them; logs and metrics subscribe from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from sluice.core.job import Job
from sluice.core.runtime.tracing import Tracing

Sink = Callable[["Event", int, dict[str, Any]], None]
BatchSink = Callable[[str, int], None]
"""Counts one call to a server: for what, and for how many items at once."""


class Event(StrEnum):
    """Every event. Each is counted; its fields are for the log."""

    ACCEPTED = "jobs_accepted"
    SHED = "jobs_shed"
    COALESCED = "jobs_coalesced"
    REUSED = "results_reused"
    DISPATCHED = "ids_dispatched"
    DISPATCH_DEFERRED = "dispatches_deferred"
    UNROUTABLE = "messages_unroutable"
    DELIVERED = "ids_delivered"
    VOID = "ids_void"
    UNREADABLE = "messages_unreadable"
    CLAIMED = "jobs_claimed"
    PULLED = "jobs_pulled"
    SUCCEEDED = "jobs_succeeded"
    FAILED = "jobs_failed"
    RETRIED = "attempts_retried"
    POSTPONED = "attempts_postponed"
    RELEASED = "jobs_released"
    CANCELLED = "jobs_cancelled"
    STALE = "stale_outcomes"
    BLOCKED = "loops_blocked"
    STUCK = "handlers_stuck"
    HOST_DIED = "hosts_died"
    HOST_RENEWED = "hosts_renewed"
    QUARANTINED = "kinds_quarantined"
    LEASE_LOST = "leases_lost"
    RESCUED = "jobs_rescued"
    REDISPATCHED = "ids_redispatched"
    DROPPED = "outbox_rows_dropped"
    FIRED = "schedules_fired"
    RATE_LIMITED = "requests_rate_limited"
    PEER_LIMITED = "requests_of_limited_peers"
    PRUNED = "jobs_pruned"
    BULK_CHANGED = "bulk_jobs_changed"
    BULK_STOPPED = "bulk_acts_stopped"
    WEBHOOK_DELIVERED = "webhooks_delivered"
    WEBHOOK_FAILED = "webhook_tries_failed"
    WEBHOOK_DISABLED = "webhooks_disabled"
    LANE_PAUSED = "lane_pauses"
    LANE_RESUMED = "lane_resumes"
    DEAD_LETTER = "dead_letters"
    ANNOUNCE_FAILED = "announcements_failed"
    EVENTS_PUBLISHED = "events_published"
    EVENTS_DROPPED = "events_dropped"
    CACHE_MISMATCH = "cache_identity_mismatch"
    SERVER_AWAY = "server_away"
    SERVER_BACK = "server_back"
    WRITES_REFUSED = "writes_refused"
    SERVER_REFUSED = "server_refused"
    RABBITMQ_ABSENT = "rabbitmq_not_configured"
    PULLING_STARTED = "pulling_started"
    PULLING_ENDED = "pulling_ended"
    DOUBTED = "settings_doubted"
    VIOLATED = "invariants_violated"
    DUTY_FAILED = "duties_failed"
    TASK_FAILED = "tasks_failed"
    STARTED = "process_started"
    STOPPING = "process_stopping"
    STOPPED = "process_stopped"


def count_no_batch(flight: str, items: int) -> None:
    """Stand in where nobody counts batches."""


class Telemetry:
    """Hands each event to the sinks that were attached at start-up, and the size of each batch to `count_batch`.

    `tracing` is set before anything is built on it, if it is on; so is `jobs_changed`, which takes jobs whose change is committed.
    """

    def __init__(self, *sinks: Sink, count_batch: BatchSink = count_no_batch) -> None:
        self._sinks = sinks
        self.count_batch = count_batch
        self.tracing: Tracing | None = None
        self.jobs_changed: Callable[[Iterable[Job]], None] | None = None

    def emit(self, event: Event, count: int = 1, **fields: Any) -> None:
        """Report that `event` happened `count` times."""
        if count:
            for sink in self._sinks:
                sink(event, count, fields)
