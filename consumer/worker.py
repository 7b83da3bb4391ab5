"""The consumer process: open → serve → stop. Stopping is a sequence of steps with a deadline."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from functools import partial

from consumer.start import Consumer, open_consumer
from sluice.core.runtime.garbage_collection import settle_garbage_collection
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.tasks import TaskSet, cancel_and_wait
from sluice.core.runtime.telemetry import Event
from sluice.errors import SluiceError

GIVE_BACK_S = 3.0
"""Seconds to write what is left once the deadline has come."""


class Worker:
    """One consumer, from start to stop. `debug`: handlers run in this very process."""

    def __init__(self, settings: Settings, debug: bool = False) -> None:
        self._settings, self._debug = settings, debug
        self._stop_asked = asyncio.Event()
        # What the tasks of a lane have in hand would be lost if they began anew.
        self._lanes: TaskSet[None] = TaskSet(self._break)
        self._pauses: TaskSet[None] = TaskSet(self._break)
        self._background: TaskSet[None] = TaskSet()
        self._broken: SluiceError | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises StartRefused if a server or the handlers turn out to be unfit, SluiceError if a part of it breaks.
        """
        stop = self._stop_asked
        _set_on_signals(stop)
        async with open_consumer(self._settings, stop.set, self._debug) as consumer:
            await self._serve(consumer)
            consumer.opened.config_problems.on_refusal(stop.set)
            await stop.wait()
            await self._stop(consumer)
            consumer.opened.config_problems.check()
            consumer.hosts.check()
            if self._broken is not None:
                raise self._broken

    async def _serve(self, consumer: Consumer) -> None:
        """Take deliveries, keep claims alive, stand in for RabbitMQ, do the keeper's duties."""
        await self._take_deliveries(consumer)
        consumer.lease.start()
        self._background.keep(consumer.hosts.keep, "hosts")
        self._background.keep(consumer.live_lines.keep, "live-lines")
        await consumer.opened.broker.start()
        self._follow_operators(consumer)
        self._poll_while_rabbitmq_is_away(consumer)
        self._do_duties(consumer)
        self._listen_for_cancels(consumer)
        self._report_started(consumer)
        settle_garbage_collection()

    def _break(self, task: str, error: BaseException) -> None:
        """Stop, as a task has failed that cannot begin anew: others take over what it would leave undone."""
        self._broken = SluiceError(f"{task} has ended: {error!r}")
        self._stop_asked.set()

    async def _take_deliveries(self, consumer: Consumer) -> None:
        """Consume every lane, but nothing is delivered before it is known which are paused."""
        broker = consumer.opened.broker
        for slots, intake in zip(consumer.slots, consumer.intakes, strict=True):
            source = broker.consume(slots.lane, intake.deliver)
            self._lanes.start(intake.serve(), f"lane-{slots.lane.name}")
            if source:
                pauses = intake.pause(source)
                await consumer.operator_pauses.follow(slots.lane.name, pauses.halt)
                self._pauses.start(pauses.watch(), f"pauses-{slots.lane.name}")
        broker.consume_dead(consumer.dead_letters.deliver)

    def _follow_operators(self, consumer: Consumer) -> None:
        """Learn at once which lanes are paused or resumed."""
        pauses = consumer.operator_pauses
        self._background.keep(pauses.watch, "operator-pauses")
        listen = partial(consumer.opened.subscriptions.listen_pauses, pauses.look_soon)
        self._background.keep(listen, "pauses-announced")

    def _poll_while_rabbitmq_is_away(self, consumer: Consumer) -> None:
        """Let the poller take over while RabbitMQ is away, or for good if there is none."""
        poller = consumer.poller
        for slots in consumer.slots:
            self._lanes.start(poller.serve(slots), f"pull-{slots.lane.name}")
        self._background.keep(poller.watch, "pulling")
        if not consumer.opened.broker.configured:
            self._background.keep(partial(consumer.opened.subscriptions.listen_calls, poller.call), "calls")

    def _do_duties(self, consumer: Consumer) -> None:
        newest_claimed = consumer.execution.newest_claimed
        keeper = consumer.timetable.make_keeper(consumer.publisher, newest_claimed, consumer.lease)
        self._background.keep(keeper.keep, "keeper")
        self._background.keep(consumer.lost_claims.keep, "lost-claims")

    def _listen_for_cancels(self, consumer: Consumer) -> None:
        """Learn at once of cancels that clients asked for."""
        listen = partial(consumer.opened.subscriptions.listen_stops, consumer.lease.ask_soon)
        self._background.keep(listen, "stops")

    def _report_started(self, consumer: Consumer) -> None:
        private_port, poller = consumer.private_port, consumer.poller
        private_port.app.notes["dispatch"] = lambda: "pull" if poller.on else "rabbitmq"
        lanes = ", ".join(slots.lane.name for slots in consumer.slots)
        consumer.telemetry.emit(
            Event.STARTED, owner=str(consumer.owner.id), port=private_port.number, lanes=lanes
        )

    async def _stop(self, consumer: Consumer) -> None:
        """Stop taking, finish or give back at the deadline, close."""
        consumer.private_port.app.draining = True
        consumer.telemetry.emit(Event.STOPPING, in_hand=len(consumer.execution))
        await self._stop_taking(consumer)
        await self._finish_or_give_back(consumer)
        await self._close(consumer)
        consumer.telemetry.emit(Event.STOPPED)

    async def _stop_taking(self, consumer: Consumer) -> None:
        await consumer.opened.broker.stop_consuming()
        for intake in consumer.intakes:
            intake.close()
        consumer.execution.release_waiting()
        consumer.poller.call()

    async def _finish_or_give_back(self, consumer: Consumer) -> None:
        execution = consumer.execution
        try:
            async with asyncio.timeout(self._settings.stop_s):
                await self._lanes.drain()
                await execution.drain()
        except TimeoutError:
            execution.release_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.grace_s + GIVE_BACK_S):
                    await execution.drain()

    async def _close(self, consumer: Consumer) -> None:
        await cancel_and_wait([*self._lanes, *self._pauses, *self._background])
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await consumer.settling.drain()
                await consumer.announcer.drain()
                await consumer.publisher.drain()
        await consumer.lease.close()


def _set_on_signals(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set this event."""
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
