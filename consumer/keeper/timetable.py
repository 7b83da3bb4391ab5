"""All duties of the keeper, and how often each is performed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from consumer.keeper.bulk_acts import CarryOnBulkActs
from consumer.keeper.find_lost_messages import Depths, FindLostMessages
from consumer.keeper.fire_schedules import FireSchedules
from consumer.keeper.keeper import Duty, Keeper
from consumer.keeper.record_duties import RecordDuties
from consumer.keeper.republish_outbox import RepublishOutbox
from consumer.keeper.rescue_jobs import RescueJobs
from consumer.keeper.room_for_retries import RoomForRetries
from consumer.keeper.tell_events import ForgetEvents, TellEvents
from consumer.keeper.verify_record import SETTLE_S, VerifyRecord
from consumer.keeper.webhooks import SendWebhooks, TellWebhooks
from consumer.lease import Lease
from sluice.core.backlog_cap import MIB, BacklogCap
from sluice.core.count_lanes import CountLanes
from sluice.core.fair_share import FairShare
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import (
    BulkStepStore,
    DocumentCache,
    EndingStore,
    EventPublisher,
    KeeperStore,
    ScheduleStore,
    StatisticsBoard,
    StorageStore,
    Verifier,
    WebhookSender,
    WebhookStore,
)
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.pepper_settings import read_peppers
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.storage_cap import StorageCap

LEAST = 0.5
"""Part of a tick that has to pass between two turns of a duty: keepers look a little earlier or later than once per tick."""
AUDIT_S, AUDIT_PART = 3_600.0, 24
"""Seconds between two turns of pruning what was written down, and the part of its time that this is at most."""
LOST_MESSAGES_TICKS = 5
"""Lost messages are looked for this many times less often than the other duties are done."""


class KeeperPorts(NamedTuple):
    """What the keeper needs from outside. `connected` tells whether messages can be sent now; without RabbitMQ, `depths` is None.

    `events` is None where none are told.
    """

    keeper: KeeperStore
    schedules: ScheduleStore
    bulk: BulkStepStore
    storage: StorageStore
    verifier: Verifier
    endings: EndingStore
    webhooks: WebhookStore
    webhook_sender: WebhookSender
    events: EventPublisher | None
    cache: DocumentCache
    board: StatisticsBoard
    connected: Callable[[], bool]
    depths: Depths | None


class Timetable:
    """What the keeper of one consumer does, and how often it is done in the fleet.

    `lane_counts` and `verification` are two of the duties, whose figures are shown.
    """

    def __init__(self, ports: KeeperPorts, settings: Settings, telemetry: Telemetry) -> None:
        self._ports, self._settings, self._telemetry = ports, settings, telemetry
        self.lane_counts = CountLanes(
            ports.keeper, ports.board, list(settings.lanes), limits=settings.backlog_limits
        )
        self.verification = VerifyRecord(ports.verifier, telemetry, min(SETTLE_S, settings.verify_s))

    def make_keeper(
        self, publisher: OutboxPublisher, newest_claimed: Mapping[tuple[str, str], datetime], lease: Lease
    ) -> Keeper:
        """Make the keeper. The names of duties are those of the table `duties`."""
        settings, ports, telemetry = self._settings, self._ports, self._telemetry
        store, cache = ports.keeper, ports.cache
        record = RecordDuties(store, cache, telemetry)
        bulk = CarryOnBulkActs(ports.bulk, cache, publisher, telemetry, new_job_id(), self._make_room())
        duties: dict[str, Duty] = {
            "publish": RepublishOutbox(store, publisher, telemetry, ports.connected).once,
            "queue-due": record.queue_due,
            "rescue": RescueJobs(store, cache, telemetry, lambda: lease.is_steady).once,
            "fail-overdue": record.fail_overdue,
            "fire-schedules": FireSchedules(ports.schedules, telemetry).once,
            "prune-jobs": record.prune_jobs,
            "prune-keys": partial(record.prune_keys, settings.idempotency_keep_s),
            "prune-batches": record.prune_batches,
            "prune-audit": partial(record.prune_audit, settings.audit_keep_s),
            "bulk": bulk.once,
            "prune-bulk": bulk.prune,
            **self._tell_others(),
            "count": self.lane_counts.once,
            "verify": self.verification.once,
        }
        if ports.depths:
            lost = FindLostMessages(store, ports.depths, newest_claimed, settings.lanes, telemetry)
            duties["find-lost"] = lost.once
        slow = {
            "find-lost": settings.keeper_s * LOST_MESSAGES_TICKS,
            "verify": settings.verify_s,
            "prune-audit": min(AUDIT_S, settings.audit_keep_s / AUDIT_PART),
        }
        rates = {name: slow.get(name, settings.keeper_s * LEAST) for name in duties}
        return Keeper(
            store, duties, rates, settings.idempotency_keep_s, settings.keeper_s, telemetry, self.lane_counts.read_board
        )  # fmt: skip

    def _make_room(self) -> RoomForRetries:
        """Make what judges the retries of bulk acts, as apis judge submits."""
        settings, counts = self._settings, self.lane_counts
        storage_cap = StorageCap(self._ports.storage, settings.tenant_storage_mib * MIB)
        caps = [BacklogCap(counts.newest, settings.backlog_limits).check, storage_cap.check]
        share = FairShare(counts, settings.all_lanes, settings.tenant_backlog, checks=caps)
        return RoomForRetries(self._ports.bulk, share.check, storage_cap)

    def _tell_others(self) -> dict[str, Duty]:
        """Webhooks, and events where they are kept."""
        settings, ports, telemetry = self._settings, self._ports, self._telemetry
        webhooks = SendWebhooks(ports.webhooks, ports.webhook_sender, read_peppers(settings), telemetry)
        duties: dict[str, Duty] = {
            "tell-webhooks": TellWebhooks(ports.endings).once,
            "send-webhooks": webhooks.once,
            "prune-webhooks": webhooks.prune,
        }
        if settings.events == "kept" and ports.events:
            return duties | {"tell-events": TellEvents(ports.endings, ports.events, telemetry).once}
        return duties | {"forget-events": ForgetEvents(ports.endings).once}
