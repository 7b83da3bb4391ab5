"""All duties of the keeper, and how often each is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from consumer.execution import Execution
from consumer.keeper.count import CountLanes
from consumer.keeper.cron import FireSchedules
from consumer.keeper.deadlines import OverdueJobs
from consumer.keeper.due import DueJobs
from consumer.keeper.duty import Duty
from consumer.keeper.prune import PruneJobs, PruneNotes
from consumer.keeper.redispatch import DueMessages, OvertakenJobs, StrandedJobs
from consumer.keeper.rescue import RescueJobs
from consumer.keeper.verify import VerifyRecord
from sluice.adapters.connections import Connections
from sluice.adapters.metrics import Metrics
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry
from sluice.core.retention import retention
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry

STRANDED_TICKS = 5
"""Queues are counted this many times less often than the other duties run."""


class Keeper:
    """Makes the duties; each runs in a task of its own, so that none holds up another."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        opened: Connections,
        telemetry: Telemetry,
        metrics: Metrics,
    ) -> None:
        self._settings, self._registry = settings, registry
        self._opened, self._telemetry, self._metrics = opened, telemetry, metrics

    def duties(self, publisher: OutboxPublisher, execution: Execution) -> Iterator[tuple[Duty, float]]:
        """Every duty, and the seconds from one time it is done to the next."""
        settings, opened, telemetry = self._settings, self._opened, self._telemetry
        store, cache, tick = opened.keeper, opened.cache, settings.keeper_s
        yield DueMessages(store, publisher, telemetry, lambda: opened.broker.connected), tick
        if opened.broker.configured:
            yield OvertakenJobs(store, execution.newest, telemetry), tick * STRANDED_TICKS
            yield StrandedJobs(store, opened.broker, settings.lanes, telemetry), tick * STRANDED_TICKS
        yield DueJobs(store, cache, telemetry), tick
        yield RescueJobs(store, cache, telemetry), tick
        yield OverdueJobs(store, cache, telemetry), tick
        yield FireSchedules(opened.schedules, telemetry), tick
        yield PruneJobs(opened.prune, cache, telemetry, retention(self._registry, settings.keep_s)), tick
        yield PruneNotes(opened.prune, settings.idempotency_keep_s), tick
        yield self._count_lanes(execution), tick
        yield self._verify_record(), settings.verify_s

    def _count_lanes(self, execution: Execution) -> CountLanes:
        """Lanes are shown as the record has them: every consumer shows the same, so do not add them up."""
        settings, gauges = self._settings, self._metrics.gauges
        report = partial(execution.run_stats.report, settings.served)
        count = CountLanes(
            self._opened.statistics, self._opened.board, list(settings.lanes), report, settings.keeper_s
        )
        gauges(
            "queued_jobs", "Jobs that wait for a slot", "lane", lambda: count.gauge(lambda lane: lane.queued)
        )
        gauges("running_jobs", "Jobs that run", "lane", lambda: count.gauge(lambda lane: lane.running))
        gauges(
            "oldest_queued_seconds",
            "How long the oldest queued job has waited",
            "lane",
            lambda: count.gauge(lambda lane: lane.oldest_queued_s),
        )
        self._metrics.gauge(
            "oldest_undispatched_seconds",
            "How long the oldest queued job has waited for RabbitMQ to confirm its message",
            count.oldest_undispatched_s,
        )
        return count

    def _verify_record(self) -> VerifyRecord:
        duty = VerifyRecord(self._opened.verifier, self._telemetry, time.time)
        self._metrics.gauges(
            "invariant_violations", "Offenders against each invariant", "check", lambda: duty.violations
        )
        self._metrics.gauge(
            "verified_timestamp_seconds",
            "When this process last verified the record",
            lambda: duty.verified_at,
        )
        return duty
