"""The consumer process: open, serve, and stop in a visible sequence with a deadline."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from uuid import uuid4

from consumer.attempt import Attempt
from consumer.execution import Execution
from consumer.intake.lane_buffer import LaneBuffer
from consumer.intake.polling import FallbackPoller
from consumer.keeper.duty import keep
from consumer.keeper.keeper import Keeper
from consumer.keeper.redispatch import DeadLetters
from consumer.lease import Leases
from consumer.loop_watchdog import Blocker
from consumer.running.runner import Runner
from consumer.settling import Settling
from sluice.adapters.admin_http import AdminApp, serve_admin
from sluice.adapters.connections import Connections, open_connections
from sluice.adapters.logs import LogSink
from sluice.adapters.metrics import Metrics
from sluice.adapters.postgres.heartbeat_store import open_heartbeat
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.outcome import LeaseLost, NotRenewed, Released
from sluice.core.registry import Registry, check_lanes
from sluice.core.runtime.garbage_collection import settle_garbage_collection
from sluice.core.runtime.settings import Settings, processors
from sluice.core.runtime.tasks import cancel_and_wait
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError, StartRefused

GIVE_BACK_S = 3.0
"""Seconds to write what is left once the deadline has come."""


class Worker:
    """One consumer, from start to stop."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        check_configuration(settings, registry)
        self._settings, self._registry = settings, registry
        self._metrics = Metrics()
        self._telemetry = Telemetry(self._metrics.sink, LogSink("consumer"))
        self._owner = uuid4()
        self._queues = [LaneBuffer(lane) for lane in settings.served]
        self._tasks: list[asyncio.Task[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        self._blocked_s: defaultdict[str, float] = defaultdict(float)
        self._metrics.gauges(
            "loop_blocked_seconds",
            "How long handlers blocked the event loop",
            "kind",
            lambda: self._blocked_s,
        )

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StartRefused where a server turns out to be unfit."""
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(
                open_connections(self._settings, "consumer", self._owner, self._telemetry)
            )
            port = AdminApp("consumer", opened.pings, self._metrics, lambda: opened.config_problems.lines)
            host, number = self._settings.private_host, self._settings.consumer_private_port
            bound = await stack.enter_async_context(serve_admin(port, host, number))
            await self._start(opened)
            port.notes["dispatch"] = lambda: "pull" if self._poller.on else "rabbitmq"
            lanes = ", ".join(lane.name for lane in self._settings.served)
            self._telemetry.emit(Event.STARTED, owner=str(self._owner), port=bound, lanes=lanes)
            settle_garbage_collection()
            opened.config_problems.on_refusal(stop.set)
            await stop.wait()
            port.draining = True
            await self._stop(opened)
            opened.config_problems.check()

    async def _start(self, opened: Connections) -> None:
        settings, telemetry = self._settings, self._telemetry
        lanes = {name: settings.lane(name) for name in settings.lanes}
        self._runner = Runner(
            settings.handlers,
            settings.threads,
            settings.processes or processors(),
            memory_mib=settings.process_memory_mib,
        )
        self._settling = Settling(opened.jobs, opened.cache, telemetry)
        self._leases = self._make_leases()
        self._execution = Execution(
            self._registry, opened.jobs, self._runner, self._leases, self._settling, telemetry
        )
        self._publisher = OutboxPublisher(opened.broker, opened.jobs, lanes, telemetry)
        dead = DeadLetters(opened.keeper, telemetry)
        for queue in self._queues:
            opened.broker.consume(queue.lane, partial(self._execution.deliver, queue))
            self._lanes.append(self._spawn(self._execution.serve(queue), f"lane-{queue.lane.name}"))
        opened.broker.consume_dead(dead.deliver)
        self._leases.start()
        await opened.broker.start()
        self._pull(opened)
        keeper = Keeper(settings, self._registry, opened, telemetry, self._metrics)
        for duty, every_s in keeper.duties(self._publisher, self._execution):
            self._spawn(keep(duty, every_s, telemetry), f"keeper-{type(duty).__name__}")
        self._spawn(self._sign_in(opened), "sign-in")
        self._spawn(opened.subscriptions.listen_stops(self._leases.beat_soon), "stops")

    def _pull(self, opened: Connections) -> None:
        """What takes over while RabbitMQ is away, or for good where there is none."""
        broker, after_s = opened.broker, self._settings.pull_after_s
        self._poller = FallbackPoller(
            self._execution, opened.polling, self._registry.names, self._telemetry, lambda: broker.silent_s, after_s
        )  # fmt: skip
        self._metrics.gauge("pulling", "1 while jobs are pulled from the record", lambda: self._poller.on)
        for queue in self._queues:
            self._lanes.append(self._spawn(self._poller.serve(queue), f"pull-{queue.lane.name}"))
        self._spawn(self._poller.watch(), "pulling")
        if not broker.configured:
            self._spawn(opened.subscriptions.listen_calls(self._poller.call), "calls")

    def _make_leases(self) -> Leases:
        settings = self._settings
        return Leases(
            partial(open_heartbeat, settings.postgres_url.get_secret_value(), settings.lease_s),
            lease_s=settings.lease_s,
            beat_s=settings.beat_s,
            grace_s=settings.grace_s,
            loop=asyncio.get_running_loop(),
            on_lost=self._lost,
            on_cancel=self._cancelled,
            on_moved=self._settling.announce_versions,
            on_blocked=self._blocked,
        )

    async def _sign_in(self, opened: Connections) -> None:
        """Leave a note for people that this consumer is here, and renew it."""
        lanes = [queue.lane.name for queue in self._queues]
        while True:
            with suppress(SluiceError):
                await opened.statistics.upsert_consumer(socket.gethostname(), os.getpid(), lanes)
            await asyncio.sleep(self._settings.lease_s)

    async def _stop(self, opened: Connections) -> None:
        """Stop taking, finish or reach the deadline, give back, close."""
        self._telemetry.emit(Event.STOPPING, in_hand=len(self._execution))
        await opened.broker.stop_consuming()
        for queue in self._queues:
            queue.close()
        self._execution.give_back()
        self._poller.call()
        try:
            async with asyncio.timeout(self._settings.stop_s):
                await asyncio.wait(self._lanes)
                await self._execution.finish()
        except TimeoutError:
            self._execution.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVE_BACK_S):
                    await self._execution.finish()
        await self._close()
        self._telemetry.emit(Event.STOPPED)

    async def _close(self) -> None:
        await cancel_and_wait(self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await self._settling.drain()
                await self._publisher.drain()
        await self._leases.close()
        await self._runner.close()

    def _lost(self, attempt: Attempt) -> None:
        self._telemetry.emit(Event.LEASE_LOST, job_id=attempt.job.id, fence=attempt.job.fence)
        attempt.stop(LeaseLost() if attempt.overdue else NotRenewed())

    def _blocked(self, blocker: Blocker, seconds: float) -> None:
        self._blocked_s[blocker.kind] += seconds
        self._telemetry.emit(Event.BLOCKED, kind=blocker.kind, where=blocker.where, seconds=round(seconds, 1))

    def _cancelled(self, attempt: Attempt) -> None:
        attempt.stop(Released("cancelled"))

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        self._tasks.append(asyncio.create_task(work, name=name))
        return self._tasks[-1]


def check_configuration(settings: Settings, registry: Registry) -> None:
    """Raises StartRefused where lanes, kinds and pools do not fit together."""
    unknown = [name for name in settings.serve_lanes if name not in settings.lanes]
    if unknown:
        raise StartRefused(f"SLUICE_SERVE_LANES: there is no lane {unknown[0]!r} in SLUICE_LANES")
    check_lanes(registry, settings.lanes)
    places = {"thread": ("SLUICE_THREADS", settings.threads)}
    places["process"] = ("SLUICE_PROCESSES", settings.processes or processors())
    for runs_in, (variable, size) in places.items():
        lanes = {registry[kind].lane for kind in registry if registry[kind].runs_in == runs_in}
        slots = sum(lane.slots for lane in settings.served if lane.name in lanes)
        if slots > size:
            raise StartRefused(
                f"{variable}: {size} are fewer than the {slots} slots of the lanes that need them: raise it, "
                "or lower the slots in SLUICE_LANES"
            )
