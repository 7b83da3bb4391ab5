"""All duties of the keeper, and how often each is performed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from consumer.keeper.count_lanes import CountLanes
from consumer.keeper.duty import Duty
from consumer.keeper.fail_overdue_jobs import FailOverdueJobs
from consumer.keeper.find_lost_messages import FindOvertakenJobs, FindStrandedJobs, QueueDepths
from consumer.keeper.fire_schedules import FireSchedules
from consumer.keeper.prune_jobs import PruneJobs
from consumer.keeper.prune_keys import PruneKeysAndConsumers
from consumer.keeper.queue_due_jobs import QueueDueJobs
from consumer.keeper.republish_outbox import RepublishOutbox
from consumer.keeper.rescue_jobs import RescueJobs
from consumer.keeper.verify_record import VerifyRecord
from sluice.core.catalogue import KindInfo
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import (
    DocumentCache,
    KeeperStore,
    PruneStore,
    ScheduleStore,
    StatisticsBoard,
    StatisticsStore,
    Verifier,
)
from sluice.core.queue_stats import Works
from sluice.core.registry import Registry
from sluice.core.retention import retention
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry

LOST_MESSAGES_TICKS = 5
"""Lost messages are looked for this many times less often than the other duties are done."""


class KeeperBroker(QueueDepths, Protocol):
    """RabbitMQ, as the keeper uses it."""

    @property
    def configured(self) -> bool:
        """Whether a RabbitMQ is configured at all."""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent now."""


class KeeperPorts(NamedTuple):
    """What the keeper needs from outside."""

    keeper: KeeperStore
    prune: PruneStore
    statistics: StatisticsStore
    schedules: ScheduleStore
    verifier: Verifier
    cache: DocumentCache
    board: StatisticsBoard
    broker: KeeperBroker


class Timetable:
    """The duties of one consumer; each runs in a task of its own, so that none holds up another.

    `lane_counts` and `verification` are two of them, whose figures are shown.
    """

    def __init__(
        self,
        ports: KeeperPorts,
        settings: Settings,
        kinds: Registry[KindInfo],
        telemetry: Telemetry,
        report_work: Callable[[], Works],
    ) -> None:
        self._ports, self._settings, self._kinds, self._telemetry = ports, settings, kinds, telemetry
        self.lane_counts = CountLanes(
            ports.statistics, ports.board, list(settings.lanes), report_work, settings.keeper_s
        )
        self.verification = VerifyRecord(ports.verifier, telemetry, time.time)

    def duties(
        self, publisher: OutboxPublisher, newest_claimed: Mapping[tuple[str, str], datetime]
    ) -> Iterator[tuple[Duty, float]]:
        """List every duty, and the seconds from one run of it to the next."""
        settings, ports, telemetry = self._settings, self._ports, self._telemetry
        store, cache, tick = ports.keeper, ports.cache, settings.keeper_s
        yield RepublishOutbox(store, publisher, telemetry, lambda: ports.broker.connected), tick
        if ports.broker.configured:
            yield FindOvertakenJobs(store, newest_claimed, telemetry), tick * LOST_MESSAGES_TICKS
            yield FindStrandedJobs(store, ports.broker, settings.lanes, telemetry), tick * LOST_MESSAGES_TICKS
        yield QueueDueJobs(store, cache, telemetry), tick
        yield RescueJobs(store, cache, telemetry), tick
        yield FailOverdueJobs(store, cache, telemetry), tick
        yield FireSchedules(ports.schedules, telemetry), tick
        yield PruneJobs(ports.prune, cache, telemetry, retention(self._kinds, settings.keep_s)), tick
        yield PruneKeysAndConsumers(ports.prune, settings.idempotency_keep_s), tick
        yield self.lane_counts, tick
        yield self.verification, settings.verify_s
