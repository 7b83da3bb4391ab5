"""A consumer without servers: its flow over a record that fails on demand. Handlers run in the loop, for real."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pydantic import BaseModel

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.execution import Execution
from consumer.hosts.child import HostSpec
from consumer.hosts.descendants import Descendants
from consumer.hosts.host_stats import HostStats
from consumer.hosts.hosts import Wear
from consumer.hosts.in_process import InProcess
from consumer.intake.claiming import Claims
from consumer.intake.deliveries import DeliveryIntake
from consumer.lane_slots import LaneSlots
from consumer.lease import Lease
from consumer.live_lines import LiveLinesPoster
from consumer.long_inputs import LongInputs
from consumer.run_stats import RunStats
from consumer.settling import Settling
from sluice.core.catalogue import describe
from sluice.core.job import JobState
from sluice.core.lanes import Lane
from sluice.core.registry import Registry
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import GiveUp
from sluice.handler import handler
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fake_live_logs import FakeLiveLogs
from tests.support.fakes import Events, FakeCache
from tests.support.faulty_store import FaultyStore
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer.make_attempts import a_job
from tests.unit.consumer.make_deliveries import FakeDelivery


class Ask(BaseModel):
    """Which door to wait at; none to go straight through."""

    door: str = ""
    fail: bool = False


class Done(BaseModel):
    """That it ran."""

    ran: bool = True


DOORS: dict[str, asyncio.Event] = {}
AT_WORK: list[str] = []


@handler("t.work", aliases=("t.former",))
async def work(ask: Ask) -> Done:
    """Waits until its door is opened."""
    if ask.door:
        AT_WORK.append(ask.door)
        await DOORS[ask.door].wait()
    if ask.fail:
        raise GiveUp("as asked")
    return Done()


class NoLease:
    """Remembers what it is to keep alive."""

    def __init__(self) -> None:
        self.held: list[Attempt] = []

    def hold(self, attempt: Attempt) -> None:
        self.held.append(attempt)

    def drop(self, attempt: Attempt) -> None:
        self.held.remove(attempt)


class InMemoryConsumer:
    """One lane, served from deliveries, whose pauses take no time."""

    def __init__(self, slots: int = 4) -> None:
        DOORS.clear()
        AT_WORK.clear()
        self.record = FakeKeeperStore()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.events, self.cache, self.lease = Events(), FakeCache(), NoLease()
        self.live_logs = FakeLiveLogs()
        self.batches: list[tuple[str, int]] = []
        self.telemetry = Telemetry(self.events, count_batch=lambda *batch: self.batches.append(batch))
        spec = HostSpec((__name__,), 0, start_s=5, grace_s=5, blocked_s=5, descendants=Descendants(False))
        self.hosts = InProcess(spec, Wear(1_000, 1_000), HostStats(self.telemetry), lambda: None)
        store = self.store.port
        self.announcer = Announcer(store, self.cache, self.telemetry)
        self.settling = Settling(store, self.announcer, self.telemetry, pauses_s=[0])
        self.execution = Execution(
            Registry([describe(work)]),
            self.hosts,
            cast(Lease, self.lease),
            RunStats(),
            self.settling,
            self.announcer,
            LongInputs(store, pause_s=0),
            LiveLinesPoster(self.live_logs),
        )
        self.claims = Claims(
            store,
            {"t.former": 1, "t.work": 1},
            self.execution,
            self.announcer,
            self.telemetry,
            pause_s=0,
            doubt_s=0.05,
        )
        self.slots = LaneSlots(Lane("default", slots, 16))
        self.intake = DeliveryIntake(self.slots, self.claims, store, self.execution, self.telemetry)
        self.serving = asyncio.create_task(self.intake.serve())

    def job(self, door: str = "", **changes: Any) -> str:
        """A queued job, which waits at this door when it runs."""
        if door:
            DOORS.setdefault(door, asyncio.Event())
        given = {"door": door, "fail": changes.pop("fail", False)}
        fresh = {"state": JobState.QUEUED, "fence": 0, "attempt": 0, "version": 1, "queued_at": AT}
        return self.record.add(a_job(work, given), **(fresh | changes))

    def bring(self, *ids: str, priority: str = "normal", body: bytes | None = None) -> FakeDelivery:
        """A message with these ids arrives."""
        delivery = FakeDelivery(list(ids), priority, body)
        self.intake.deliver(delivery)
        return delivery

    async def bring_settled(self, *ids: str) -> FakeDelivery:
        """A message arrives and all that comes of it is done."""
        delivery = self.bring(*ids)
        await until(lambda: delivery.acknowledged)
        await self.settled()
        return delivery

    async def settled(self) -> None:
        """Return once everything that was claimed is settled and announced."""
        await self.execution.drain()
        await self.settling.drain()
        await self.announcer.drain()

    def state(self, job_id: str) -> str:
        """The state of a job in the record."""
        return self.record.jobs[job_id].state

    async def close(self) -> None:
        """Let every handler end, and stop."""
        for door in DOORS.values():
            door.set()
        self.serving.cancel()
        await asyncio.wait([self.serving])
        await self.settled()
        await self.hosts.close()
