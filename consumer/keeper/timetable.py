"""All duties of the keeper, and how often each is performed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from consumer.keeper.count_lanes import CountLanes
from consumer.keeper.duty import Duty
from consumer.keeper.fail_overdue_jobs import FailOverdueJobs
from consumer.keeper.find_lost_messages import FindLostMessages, QueueDepths
from consumer.keeper.fire_schedules import FireSchedules
from consumer.keeper.keeper import Keeper
from consumer.keeper.offer_parked_jobs import OfferParkedJobs
from consumer.keeper.prune_jobs import PruneJobs
from consumer.keeper.prune_keys import PruneKeys
from consumer.keeper.queue_due_jobs import QueueDueJobs
from consumer.keeper.republish_outbox import RepublishOutbox
from consumer.keeper.rescue_jobs import RescueJobs
from consumer.keeper.verify_record import VerifyRecord
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
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry

LEAST = 0.5
"""Part of a tick that has to pass between two turns of a duty: keepers look a little earlier or later than once per tick."""
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


class Contact(Protocol):
    """This process's contact with the record."""

    @property
    def is_steady(self) -> bool:
        """Whether it has not been interrupted for as long as others need to renew their leases after an interruption."""


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
    """What the keeper of one consumer does, and how often it is done in the fleet.

    `lane_counts` and `verification` are two of the duties, whose figures are shown.
    """

    def __init__(self, ports: KeeperPorts, settings: Settings, telemetry: Telemetry) -> None:
        self._ports, self._settings, self._telemetry = ports, settings, telemetry
        self.lane_counts = CountLanes(ports.statistics, ports.board, list(settings.lanes))
        self.verification = VerifyRecord(ports.verifier, telemetry, time.time)

    def make_keeper(
        self, publisher: OutboxPublisher, newest_claimed: Mapping[tuple[str, str], datetime], contact: Contact
    ) -> Keeper:
        """Make the keeper. The names of duties are those of the table `duties`."""
        settings, ports, telemetry = self._settings, self._ports, self._telemetry
        store, cache, broker = ports.keeper, ports.cache, ports.broker
        duties: dict[str, Duty] = {
            "publish": RepublishOutbox(store, publisher, telemetry, lambda: broker.connected),
            "queue-due": QueueDueJobs(store, cache, telemetry),
            "rescue": RescueJobs(store, cache, telemetry, lambda: contact.is_steady),
            "fail-overdue": FailOverdueJobs(store, cache, telemetry),
            "fire-schedules": FireSchedules(ports.schedules, telemetry),
            "prune-jobs": PruneJobs(ports.prune, cache, telemetry),
            "prune-keys": PruneKeys(ports.prune, settings.idempotency_keep_s),
            "count": self.lane_counts,
            "verify": self.verification,
        }
        if broker.configured:
            duties["offer-parked"] = OfferParkedJobs(store, telemetry)
            duties["find-lost"] = FindLostMessages(store, broker, newest_claimed, settings.lanes, telemetry)
        rates = dict.fromkeys(duties, settings.keeper_s * LEAST) | {
            "find-lost": settings.keeper_s * LOST_MESSAGES_TICKS,
            "verify": settings.verify_s,
        }
        rates = {name: rates[name] for name in duties}
        return Keeper(
            store, duties, rates, settings.idempotency_keep_s, settings.keeper_s, telemetry, self.lane_counts.read_board
        )  # fmt: skip
