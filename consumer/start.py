"""Start a consumer: open its connections and private port, and build its parts. No other file puts parts together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.configuration import check_configuration
from consumer.execution import Execution, Runner
from consumer.gauges import describe_hosts, describe_troubles, show_own_gauges, show_verification_gauges
from consumer.hosts.child import HostSpec
from consumer.hosts.descendants import Descendants
from consumer.hosts.host_stats import HostStats
from consumer.hosts.hosts import Hosts, Wear
from consumer.hosts.in_process import InProcess
from consumer.intake.claiming import Claims
from consumer.intake.deliveries import DeliveryIntake
from consumer.intake.operator_pauses import OperatorPauses
from consumer.intake.polling import FallbackPoller
from consumer.keeper.dead_letters import DeadLetters
from consumer.keeper.rescue_jobs import RescueJobs
from consumer.keeper.timetable import KeeperPorts, Timetable
from consumer.lane_slots import LaneSlots
from consumer.lease import Lease
from consumer.live_lines import LiveLinesPoster
from consumer.long_inputs import LongInputs
from consumer.lost_claims import LostClaims
from consumer.run_stats import RunStats, with_load
from consumer.settling import Settling
from consumer.traced_runs import TracedRuns
from sluice.adapters.admin_http import AdminApp, serve_admin
from sluice.adapters.connections import Connections, open_connections
from sluice.adapters.logs import LogSink, log_to_stderr
from sluice.adapters.metrics import Metrics
from sluice.adapters.postgres.connecting import tell_arrays_by_type
from sluice.adapters.postgres.lease_store import Serves, open_lease_store
from sluice.adapters.tracing import open_tracing
from sluice.core.catalogue import KindInfo
from sluice.core.lane_gauges import describe_pauses, show_clock, show_lane_gauges
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.owner import Owner
from sluice.core.queue_stats import write_works
from sluice.core.registry import Registry
from sluice.core.runtime.lane_settings import processors
from sluice.core.runtime.load_settings import load_settings
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.tasks import report_failures
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.host.limits import measure
from sluice.host.processes import adopt_orphans

SPARE_S = 10.0
"""Seconds that a host may need to end a job, beyond the time it has for that, before the job's lease is let go."""


MOST_NAMED = 20
"""Jobs that the line of a lost lease names."""

DEBUG_LEASE_S = 3_600.0
"""Seconds that a job stays with a consumer whose event loop may stand still at a breakpoint."""


def prepare(debug: bool = False) -> Settings:
    """Read the settings, log as they say, and tune the driver. Raises StartRefused."""
    settings = load_settings()
    if debug:
        settings = settings.model_copy(update={"lease_s": DEBUG_LEASE_S})
    else:
        tell_arrays_by_type()
    log_to_stderr(settings.log_level)
    return settings


@asynccontextmanager
async def open_consumer(
    settings: Settings, on_refused: Callable[[], object], debug: bool = False
) -> AsyncIterator[Consumer]:
    """Start the hosts, open the connections and the private port, and put the parts together; all is closed at the end.

    `on_refused` is called if no host can be started any more. Raises StartRefused.
    """
    metrics = Metrics()
    telemetry = Telemetry(
        metrics.sink, LogSink("consumer", settings.log_tracebacks), count_batch=metrics.batches.record
    )
    report_failures(telemetry)
    owner = Owner()
    async with (
        open_tracing(settings, "consumer", telemetry),
        _open_hosts(settings, telemetry, on_refused, debug) as (hosts, kinds),
    ):
        check_configuration(settings, kinds)
        async with open_connections(settings, "consumer", owner, telemetry) as opened:
            troubles: list[Callable[[], list[str]]] = [lambda: opened.config_problems.lines]
            admin = AdminApp(
                "consumer", opened.pings, metrics, lambda: [line for each in troubles for line in each()]
            )
            async with serve_admin(admin, settings.private_host, settings.consumer_private_port) as port:
                parts = hosts, kinds, opened, telemetry, owner, PrivatePort(admin, port)
                consumer = Consumer(settings, *parts)
                troubles.append(partial(describe_troubles, hosts, consumer.slots, _longest_s(kinds)))
                show_own_gauges(metrics, hosts, consumer.slots, consumer.poller)
                show_lane_gauges(metrics, consumer.timetable.lane_counts)
                show_verification_gauges(metrics, consumer.timetable.verification)
                show_clock(metrics, opened.clock)
                admin.notes |= describe_hosts(hosts, consumer.slots)
                admin.notes["paused_lanes"] = lambda: describe_pauses(consumer.operator_pauses.known)
                yield consumer


def _longest_s(kinds: Registry[KindInfo]) -> dict[str, float]:
    """Return the longest time limit of the kinds of each lane."""
    longest: dict[str, float] = {}
    for kind in kinds:
        lane = kinds[kind].lane
        longest[lane] = max(longest.get(lane, 0.0), kinds[kind].timeout_s)
    return longest


@asynccontextmanager
async def _open_hosts(
    settings: Settings, telemetry: Telemetry, on_refused: Callable[[], object], debug: bool
) -> AsyncIterator[tuple[Hosts, Registry[KindInfo]]]:
    spec = HostSpec(
        settings.handlers, settings.process_memory_mib, settings.start_s, settings.grace_s, settings.blocked_s,
        Descendants(adopt_orphans()), processes=settings.processes or processors(),
    )  # fmt: skip
    wear = Wear(settings.host_jobs, settings.host_memory_mib)
    hosts = (InProcess if debug else Hosts)(spec, wear, HostStats(telemetry), on_refused)
    try:
        yield hosts, await hosts.open()
    finally:
        await hosts.close()


class PrivatePort(NamedTuple):
    """The port for health and metrics, already serving."""

    app: AdminApp
    number: int


class Consumer:
    """The parts of one consumer, put together. None of them does anything yet."""

    def __init__(  # noqa: PLR0913  the parts that are opened for it
        self,
        settings: Settings,
        hosts: Hosts,
        kinds: Registry[KindInfo],
        opened: Connections,
        telemetry: Telemetry,
        owner: Owner,
        private_port: PrivatePort,
    ) -> None:
        self.hosts, self.opened, self.telemetry = hosts, opened, telemetry
        self.owner, self.private_port = owner, private_port
        self.announcer = Announcer(opened.jobs, opened.cache, telemetry)
        self.settling = Settling(opened.jobs, self.announcer, telemetry)
        self.run_stats = RunStats()
        self.live_lines = LiveLinesPoster(opened.live_logs)
        self.lease = self._make_lease(settings, kinds.versions)
        opened.identity.follow(self.lease.reconnect)
        self.execution = self._make_execution(kinds)
        self.lost_claims = self._make_lost_claims()
        claims = self._make_claims(settings, kinds.versions)
        self.slots = [LaneSlots(lane) for lane in settings.served]
        self.intakes = [
            DeliveryIntake(each, claims, opened.keeper, self.execution, telemetry) for each in self.slots
        ]
        self.poller = FallbackPoller(
            claims, self.execution, telemetry, lambda: opened.broker.silent_s, settings.pull_after_s
        )
        self.operator_pauses = OperatorPauses(
            opened.lanes, lambda: opened.subscriptions.hears_pauses, telemetry
        )
        self.publisher = OutboxPublisher(opened.broker, opened.jobs, settings.all_lanes, telemetry)
        self.dead_letters = DeadLetters(opened.keeper, telemetry)
        self.timetable = self._make_timetable(settings)

    def _make_claims(self, settings: Settings, kinds: Mapping[str, int]) -> Claims:
        return Claims(
            self.opened.jobs,
            kinds,
            self.execution,
            self.announcer,
            self.telemetry,
            doubt_s=2 * settings.lease_s,
            on_doubt_over=self.lost_claims.look,
        )

    def _make_execution(self, kinds: Registry[KindInfo]) -> Execution:
        hosts: Runner = self.hosts
        if self.telemetry.tracing is not None:
            hosts = TracedRuns(hosts, self.telemetry.tracing, self._name_system)
        inputs = LongInputs(self.opened.jobs)
        return Execution(
            kinds,
            hosts,
            self.lease,
            self.run_stats,
            self.settling,
            self.announcer,
            inputs,
            self.live_lines,
        )

    def _name_system(self) -> str:
        """Name what brings jobs at present."""
        return "postgresql" if self.poller.on else "rabbitmq"

    def _make_lost_claims(self) -> LostClaims:
        opened, telemetry = self.opened, self.telemetry
        rescue = RescueJobs(opened.keeper, opened.cache, telemetry, may_judge=lambda: True)
        lost_claims = LostClaims(rescue, self.owner, lambda: self.execution.in_hand, telemetry)
        opened.identity.follow(lost_claims.look)
        return lost_claims

    def _make_lease(self, settings: Settings, kinds: Mapping[str, int]) -> Lease:
        serves = Serves([lane.name for lane in settings.served], kinds)
        url = settings.postgres_url.get_secret_value()
        return Lease(
            partial(open_lease_store, url, self.owner, serves, settings.lease_s),
            self.owner,
            report=partial(self._report, settings),
            lease_s=settings.lease_s,
            beat_s=settings.beat_s,
            spare_s=settings.grace_s + settings.blocked_s + SPARE_S,
            on_lost=self._stop_lost,
            on_overdue=Attempt.time_out,
            on_cancel=Attempt.cancel,
            on_moved=self.announcer.versions_changed,
        )

    def _report(self, settings: Settings) -> bytes:
        """Describe this consumer's work for the record: hosts measure themselves anyway."""
        own_mib, *_ = measure()
        mib = own_mib + sum(self.hosts.add_up(lambda host: host.uses.memory_mib).values())
        running = {each.lane.name: each.busy for each in self.slots}
        return write_works(with_load(self.run_stats.report(settings.served), running, int(mib) << 20))

    def _stop_lost(self, attempts: list[Attempt]) -> None:
        named = ", ".join(attempt.job.id for attempt in attempts[:MOST_NAMED])
        self.telemetry.emit(Event.LEASE_LOST, jobs=len(attempts), job_ids=named)
        for attempt in attempts:
            attempt.lose_lease()

    def _make_timetable(self, settings: Settings) -> Timetable:
        opened = self.opened
        ports = KeeperPorts(
            keeper=opened.keeper,
            schedules=opened.schedules,
            bulk=opened.bulk,
            storage=opened.storage,
            verifier=opened.verifier,
            endings=opened.endings,
            webhooks=opened.webhooks,
            webhook_sender=opened.webhook_sender,
            events=opened.events,
            cache=opened.cache,
            board=opened.board,
            connected=lambda: opened.broker.connected,
            depths=opened.broker.depths if opened.broker.configured else None,
        )
        return Timetable(ports, settings, self.telemetry)
