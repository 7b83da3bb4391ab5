"""Start a consumer: open its connections and private port, and build its parts. No other file puts parts together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.execution import Execution
from consumer.gauges import show_lane_gauges, show_own_gauges, show_verification_gauges
from consumer.intake.claiming import Claims
from consumer.intake.deliveries import DeliveryIntake
from consumer.intake.polling import FallbackPoller
from consumer.keeper.dead_letters import DeadLetters
from consumer.keeper.timetable import KeeperPorts, Timetable
from consumer.lane_slots import LaneSlots
from consumer.lease import Leases
from consumer.loop_watchdog import BlockedTimes
from consumer.running.runner import Runner
from consumer.settling import Settling
from sluice.adapters.admin_http import AdminApp, serve_admin
from sluice.adapters.connections import Connections, open_connections
from sluice.adapters.logs import LogSink, log_to_stderr
from sluice.adapters.metrics import Metrics
from sluice.adapters.postgres.heartbeat_store import open_heartbeat
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry, load
from sluice.core.runtime.settings import Settings, load_settings, processors
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.handler import AnyHandler


def prepare() -> tuple[Settings, Registry[AnyHandler]]:
    """Read the settings, log as they say, and load the listed kinds. Raises StartRefused."""
    settings = load_settings()
    log_to_stderr(settings.log_level)
    return settings, load(settings.handlers)


@asynccontextmanager
async def open_consumer(settings: Settings, registry: Registry[AnyHandler]) -> AsyncIterator[Consumer]:
    """Open the connections and the private port, and put the parts together; what was opened is closed at the end."""
    metrics = Metrics()
    telemetry = Telemetry(metrics.sink, LogSink("consumer"))
    owner = uuid4()
    async with open_connections(settings, "consumer", owner, telemetry) as opened:
        admin = AdminApp("consumer", opened.pings, metrics, lambda: opened.config_problems.lines)
        async with serve_admin(admin, settings.private_host, settings.consumer_private_port) as port:
            consumer = Consumer(settings, registry, opened, telemetry, owner, PrivatePort(admin, port))
            show_own_gauges(metrics, consumer.blocked, consumer.poller)
            show_lane_gauges(metrics, consumer.timetable.lane_counts)
            show_verification_gauges(metrics, consumer.timetable.verification)
            yield consumer


class PrivatePort(NamedTuple):
    """The port for health and metrics, already serving."""

    app: AdminApp
    number: int


class Consumer:
    """The parts of one consumer, put together. None of them does anything yet."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry[AnyHandler],
        opened: Connections,
        telemetry: Telemetry,
        owner: UUID,
        private_port: PrivatePort,
    ) -> None:
        self.opened, self.telemetry = opened, telemetry
        self.owner, self.private_port = owner, private_port
        self.runner = _make_runner(settings)
        self.announcer = Announcer(opened.jobs, opened.cache, telemetry)
        self.settling = Settling(opened.jobs, self.announcer, telemetry)
        self.blocked = BlockedTimes(telemetry)
        self.leases = self._make_leases(settings)
        self.execution = Execution(registry, self.runner, self.leases, self.settling, self.announcer)
        claims = Claims(
            opened.jobs, opened.polling, registry.names, self.execution, self.announcer, telemetry
        )
        self.slots = [LaneSlots(lane) for lane in settings.served]
        self.intakes = [DeliveryIntake(each, claims, self.execution, telemetry) for each in self.slots]
        self.poller = FallbackPoller(
            claims, self.execution, telemetry, lambda: opened.broker.silent_s, settings.pull_after_s
        )
        self.publisher = OutboxPublisher(opened.broker, opened.jobs, settings.all_lanes, telemetry)
        self.dead_letters = DeadLetters(opened.keeper, telemetry)
        self.timetable = self._make_timetable(settings, registry)

    def _make_leases(self, settings: Settings) -> Leases:
        return Leases(
            partial(open_heartbeat, settings.postgres_url.get_secret_value(), settings.lease_s),
            lease_s=settings.lease_s,
            beat_s=settings.beat_s,
            grace_s=settings.grace_s,
            loop=asyncio.get_running_loop(),
            on_lost=self._stop_lost,
            on_cancel=Attempt.cancel,
            on_moved=self.announcer.versions_changed,
            on_blocked=self.blocked.add,
        )

    def _stop_lost(self, attempt: Attempt) -> None:
        self.telemetry.emit(Event.LEASE_LOST, job_id=attempt.job.id, fence=attempt.job.fence)
        attempt.lose_lease()

    def _make_timetable(self, settings: Settings, registry: Registry[AnyHandler]) -> Timetable:
        opened = self.opened
        ports = KeeperPorts(
            keeper=opened.keeper,
            prune=opened.prune,
            statistics=opened.statistics,
            schedules=opened.schedules,
            verifier=opened.verifier,
            cache=opened.cache,
            board=opened.board,
            broker=opened.broker,
        )
        report_work = partial(self.execution.run_stats.report, settings.served)
        return Timetable(ports, settings, registry, self.telemetry, report_work)


def _make_runner(settings: Settings) -> Runner:
    return Runner(
        settings.handlers,
        settings.threads,
        settings.processes or processors(),
        memory_mib=settings.process_memory_mib,
    )
