"""Everything around the record that a history needs: two apis, two consumers, a keeper, and a RabbitMQ that cannot be trusted.

What belongs to the product is real and is called a step at a time; nothing runs by itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from math import inf
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
from pydantic import BaseModel

from api.jobs.control import Control
from api.jobs.document_memory import DocumentMemory
from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.lookup import Lookup
from api.jobs.make_job import SubmitRequest
from api.jobs.result_reuse import ResultReuse
from api.jobs.submit import Submission
from consumer.keeper.find_lost_messages import FindLostMessages
from consumer.keeper.keeper import Duty
from consumer.keeper.record_duties import RecordDuties
from consumer.keeper.republish_outbox import RepublishOutbox
from consumer.keeper.rescue_jobs import RescueJobs
from infra.local.servers import Servers
from sluice.adapters.postgres.control_store import PostgresControlStore
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.adapters.postgres.lease_store import PostgresLeaseStore, Serves
from sluice.adapters.postgres.pool import Database
from sluice.core.errors import ServerAway
from sluice.core.job import Job, Message
from sluice.core.lanes import Lane, queue_name
from sluice.core.lifecycle import Transition
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.owner import Owner
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.handler import handler
from tests.support.fakes import FakeCache
from tests.support.faulty_store import FaultyStore
from tests.support.leases import new_owner
from tests.support.servers import settings_for

TENANT = "acme"
LANE = Lane("default", 8, 2)
LONG_S = 600.0
KEEP_S = 3_600.0
TABLES = ("jobs", "inputs", "outbox", "attempts", "idempotency_keys", "consumers")


class Ask(BaseModel):
    """A number, so that bodies differ."""

    number: int


@handler("history.work")
async def work(ask: Ask) -> Ask:
    """Never called: how a run ends is up to the history."""
    return ask


KINDS = {work.kind: 1}


class ShakyBroker:
    """A sluice.core.ports.Dispatcher that confirms, refuses, or refuses what it then delivers all the same, and loses anything."""

    def __init__(self) -> None:
        self.mode = "steady"
        self.waiting: list[Message] = []

    async def publish(self, message: Message) -> None:
        """As the mode says: `steady`, `away`, or `late`."""
        if self.mode != "away":
            self.waiting.append(message)
        if self.mode != "steady":
            raise ServerAway("rabbitmq")

    async def depths(self) -> dict[str, int]:
        """Messages by queue."""
        if self.mode != "steady":
            raise ServerAway("rabbitmq")
        empty = dict.fromkeys(LANE.queues.values(), 0)
        return empty | Counter(queue_name(each.lane, each.priority) for each in self.waiting)


class Hands:
    """What one consumer has: messages not yet acknowledged, and claims that it believes to hold.

    `over` says that its lease is, whether or not it knows.
    """

    def __init__(self, world: SimulatedSystem) -> None:
        self.owner, self.over = Owner(), False
        self.lease = PostgresLeaseStore(world.sql, self.owner, Serves([LANE.name], KINDS), LONG_S)
        self.store = FaultyStore(PostgresJobStore(world.database, self.owner, world.patient))
        self.messages: list[Message] = []
        self.claims: dict[str, Job] = {}

    @property
    def ids(self) -> list[str]:
        """Every id of its messages, once."""
        return list(dict.fromkeys(each for message in self.messages for each in message.ids))


class Beat(NamedTuple):
    """What a consumer learns when it renews its lease: which of its claims hold, and which are to be cancelled."""

    holding: set[str]
    cancelled: set[str]


class Api:
    """One api process: submit, cancel, look up."""

    def __init__(self, world: SimulatedSystem) -> None:
        self.store = FaultyStore(PostgresJobStore(world.database, Owner(), world.patient))
        self.control = FaultyStore(PostgresControlStore(world.database, world.patient), self.store.script)
        store, cache = self.store.port, world.cache
        self.lookup = Lookup(store, cache, DocumentMemory(0, inf, monotonic), world.telemetry)
        recall = ResultReuse(store, cache, self.lookup, world.telemetry, inf, monotonic)
        self.publisher = world.new_dispatch()
        self._submission = Submission(
            Registry([work]), {LANE.name: LANE}, KEEP_S, store, recall, self.publisher, world.telemetry
        )
        self._control = Control(self.control.port, cache, self.lookup, self.publisher, world.telemetry)

    async def submit(self, number: int, key: str | None) -> str:
        """The id that the client is told."""
        request = None if key is None else IdempotencyKey(key, f"{number}".encode())
        answer = await self._submission.submit(
            TENANT, SubmitRequest(work.kind, {"number": number}), key=request
        )
        return answer.document.id

    async def cancel(self, job_id: str) -> str:
        """The state that the client is told."""
        return (await self._control.cancel(TENANT, job_id)).state


class SimulatedSystem:
    """All of them on one record. `sql` is a hand of the test's own."""

    database: Database
    sql: asyncpg.Connection[asyncpg.Record]
    patient: Settings
    telemetry: Telemetry
    cache: FakeCache
    broker: ShakyBroker

    @classmethod
    async def open(cls, servers: Servers) -> SimulatedSystem:
        """On servers that are up."""
        world = cls()
        world.telemetry = Telemetry()
        world.sql = await asyncpg.connect(servers.postgres.url)
        world.database = Database(servers.postgres.url, "histories", world.telemetry, size=4)
        world.patient = settings_for(
            servers, lease_s=LONG_S, dispatch_due_s=LONG_S, record_budget_s=10, accept_budget_s=10
        )
        return world

    async def begin(self) -> None:
        """As if nothing had happened yet."""
        await self.sql.execute("".join(f"delete from {each};" for each in TABLES))  # noqa: S608  names of ours
        self.cache, self.broker = FakeCache(), ShakyBroker()
        self.apis = [Api(self), Api(self)]
        self.hands = [await self.new_hands() for _ in range(2)]
        self.newest: dict[tuple[str, str], datetime] = {}
        self._keeper = await new_owner(self.sql)
        self._keepers = self._made_keepers(self._keeper)

    async def close(self) -> None:
        """Close every connection."""
        await self.database.close()
        await self.sql.close()

    async def new_hands(self) -> Hands:
        """Return a consumer that has just taken its lease."""
        hands = Hands(self)
        await hands.lease.take()
        return hands

    def new_dispatch(self) -> OutboxPublisher:
        """One per process."""
        store = PostgresJobStore(self.database, Owner(), self.patient)
        return OutboxPublisher(self.broker, store, {LANE.name: LANE}, self.telemetry)

    async def keep(self, duty: str) -> None:
        """Do a duty of the keeper once, and all that comes of it."""
        try:
            await self._keepers[duty]()
        except ServerAway:
            assert self.broker.mode != "steady"
        await self.rest()

    async def rest(self) -> None:
        """Until every dispatch is over."""
        await asyncio.gather(*(each.drain() for each in self._dispatches))
        self.broker.waiting.sort()  # so that the same history is the same again; who delivers takes any

    async def beat(self, hands: Hands) -> Beat | None:
        """Renew the lease of this consumer; None if it was over and another was taken."""
        if not await hands.lease.renew(b"{}"):
            hands.owner.replace()
            await hands.lease.take()
            return None
        claims = [job.claim for job in hands.claims.values()]
        moved = await hands.lease.store_progress(dict.fromkeys(claims, b"1")) if claims else {}
        return Beat(set(moved), {claim.id for claim in await hands.lease.find_cancels(claims)})

    async def settle(self, hands: Hands, ending: Transition) -> str | None:
        """The state that the record took, None where it took none."""
        settled = await hands.store.port.settle([ending])
        return str(settled[0].state) if settled else None

    async def end_leases(self, silent: Sequence[Hands]) -> None:
        """As if these consumers had been silent for longer than a lease; without any, as if all had been, and had died.

        Who keeps the record has a lease of its own.
        """
        await self.sql.execute(
            "update consumers set lease_until = clock_timestamp() - interval '1 s'"
            " where id = any($1) or $1 = '{}' and id <> $2",
            [hands.owner.id for hands in silent],
            self._keeper.id,
        )

    async def meddle(self, job_id: str, assignments: str) -> bool:
        """Change a row by hand; false where the record refuses."""
        try:
            await self.sql.execute(f"update jobs set {assignments} where id = $1", job_id)  # noqa: S608  of the test
        except asyncpg.CheckViolationError:
            return False
        return True

    async def pass_time(self) -> None:
        """What was put off is due now."""
        await self.sql.execute("update outbox set due = now() - interval '1 s'")

    async def rows(self) -> dict[str, Any]:
        """All jobs, whole, and the keys that stand for each."""
        rows = await self.sql.fetch(
            "select jobs.*, jobs::text as whole,"
            " array(select key from idempotency_keys where job_id = jobs.id) as keys from jobs"
        )
        return {str(row["id"]): row for row in rows}

    def _made_keepers(self, owner: Owner) -> dict[str, Duty]:
        store = PostgresKeeperStore(self.database, owner)
        publisher = self.new_dispatch()
        self._dispatches = [publisher, *(api.publisher for api in self.apis)]
        record = RecordDuties(store, self.cache, self.telemetry)
        lost = FindLostMessages(store, self.broker.depths, self.newest, [LANE.name], self.telemetry)
        return {
            "due messages": RepublishOutbox(
                store, publisher, self.telemetry, lambda: self.broker.mode == "steady"
            ).once,
            "lost": Impatient(self.sql, lost.once).once,
            "due jobs": record.queue_due,
            "rescue": RescueJobs(store, self.cache, self.telemetry, lambda: True).once,
        }


class Impatient:
    """Looks for lost messages as if every offer had been made long ago."""

    def __init__(self, sql: asyncpg.Connection[asyncpg.Record], duty: Duty) -> None:
        self._sql, self._duty = sql, duty

    async def once(self) -> object:
        """Look once."""
        await self._sql.execute(
            "update jobs set offered_until = least(offered_until, queued_at) where state = 'queued'"
        )
        return await self._duty()
