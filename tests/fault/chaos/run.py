"""One run from start to verdict: bring everything up, load it, break it, let it come to rest, compare."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from infra.local.servers import Servers
from tests.fault.chaos.checker import Verdict, judge
from tests.fault.chaos.client_log import ClientLog
from tests.fault.chaos.client_requests import Asking
from tests.fault.chaos.fault_injector import Done, FaultInjector
from tests.fault.chaos.http_client import Door, Doors
from tests.fault.chaos.kinds import LEDGER
from tests.fault.chaos.load import VISITS, Load
from tests.fault.chaos.record_snapshot import read_record, unfinished
from tests.fault.chaos.recovery import Recovery, recoveries
from tests.fault.chaos.resource_samples import Sample, watch
from tests.fault.chaos.schedule import EDGES, FULL, LEASE_S, SERVERS, Crew, Fault, schedule
from tests.support.proxy import Proxies, Proxy
from tests.support.servers import proxied_urls
from tests.support.stack import ROOT, Stack, make_a_key

Say = Callable[[str], None]

QUIESCE_S = 60.0
SAY_EVERY_S = 5.0
TENANTS = ("demo", "acme")
KINDS = "tests.fault.chaos.kinds"
SETTINGS: dict[str, object] = {
    "handlers": KINDS,
    "lease_s": LEASE_S,
    "beat_s": 0.5,
    "dispatch_due_s": 2,
    "processes": 1,
    "lanes": '{"default":{"slots":128,"ids_per_message":64},"heavy":{"slots":1,"ids_per_message":1}}',
}


class Plan(NamedTuple):
    """What a run is made of. Everything that the seed decides follows from this alone."""

    seed: int
    seconds: float
    mix: Mapping[str, int] = FULL
    rate: float = 160.0
    crew: Crew = Crew()
    visits: Mapping[str, int] = VISITS
    script: tuple[Fault, ...] | None = None
    settings: Mapping[str, object] = {}
    quiesce_s: float = QUIESCE_S

    @property
    def faults(self) -> list[Fault]:
        """When which fault comes; a script says it instead of the seed."""
        return (
            list(self.script)
            if self.script is not None
            else schedule(self.seed, self.seconds, self.mix, self.crew)
        )


class Outcome(NamedTuple):
    """What came of a run. `rest_s` is how long the last jobs took after the last client had left."""

    plan: Plan
    verdict: Verdict
    recoveries: list[Recovery]
    book: ClientLog
    figures: dict[str, int]
    rest_s: float
    stayed_away: int
    samples: list[Sample]


class Site:
    """Everything that runs: servers, processes, and a proxy on every edge between them."""

    def __init__(self, plan: Plan, servers: Servers, directory: Path, root: Path = ROOT) -> None:
        self.plan, self.servers = plan, servers
        self.ledger = directory / "ledger"
        self.proxies = Proxies()
        self.edges: dict[str, Proxy] = {}
        self.keys: dict[str, str] = {}
        self.stack = Stack(servers, directory, **(SETTINGS | dict(plan.settings)))
        self.stack.root = root
        self.stack.environment |= {LEDGER: str(self.ledger), "PYTHONPATH": str(ROOT)}

    async def open(self) -> None:
        """Start all processes."""
        self.edges |= {name: self.proxies.add(self._port(name)) for name in EDGES}
        await self.stack.start(apis=0, consumers=0)
        self.keys = {each: await make_a_key(self.servers, each, ["submit", "read"]) for each in TENANTS}
        for _ in range(self.plan.crew.apis):
            self.stack.add_api(**self._urls("api"))
        for _ in range(self.plan.crew.consumers):
            self.stack.add_consumer(**self._urls("consumer"))
        await asyncio.gather(*(each.ready() for each in self.stack.apis + self.stack.consumers))

    def close(self) -> None:
        """Stop all processes."""
        self.stack.stop()
        self.proxies.close()

    def doors(self) -> Doors:
        """The way in for clients."""
        return Doors([Door(urlsplit(api.url).port or 0) for api in self.stack.apis])

    def pids(self) -> dict[str, int]:
        """The main process of everything that runs."""
        every = {f"api-{number}": each.process for number, each in enumerate(self.stack.apis)}
        every |= {f"consumer-{number}": each.process for number, each in enumerate(self.stack.consumers)}
        found = {name: process.pid for name, process in every.items() if process is not None}
        return found | {server.name: pids[0] for server in self.servers if (pids := server.pids)}

    def _port(self, edge: str) -> int:
        port: int = getattr(self.servers, edge.split("-")[1]).port
        return port

    def _urls(self, role: str) -> dict[str, object]:
        """Where each server is for this role: behind its proxy."""
        return proxied_urls(self.servers, {name: self.edges[f"{role}-{name}"].port for name in SERVERS})


@asynccontextmanager
async def site(plan: Plan, servers: Servers, directory: Path, root: Path = ROOT) -> AsyncIterator[Site]:
    """Everything up for the block."""
    made = Site(plan, servers, directory, root)
    try:
        await made.open()
        yield made
    finally:
        await asyncio.to_thread(made.close)


async def run(plan: Plan, servers: Servers, directory: Path, say: Say, root: Path = ROOT) -> Outcome:
    """The whole story. Whatever is wrong is in the outcome's verdict; errors are those of the harness."""
    async with site(plan, servers, directory, root) as made:
        return await _run(made, say)


async def _run(made: Site, say: Say) -> Outcome:
    plan, book, doors = made.plan, ClientLog(), made.doors()
    load = Load(Asking(doors, made.keys, book), book, Random(plan.seed), plan.rate, plan.visits)
    wreck = FaultInjector(made.stack, made.edges)
    stop, samples = asyncio.Event(), list[Sample]()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stop), name="load")
        sides = [
            group.create_task(_tell(book, plan, say), name="progress"),
            group.create_task(watch(made.pids, samples), name="vitals"),
        ]
        done = await _break_all(wreck, plan, book, say)
        stop.set()
        for side in sides:
            side.cancel()
    rest_s = await _come_to_rest(made, say)
    for consumer in made.stack.consumers:
        await wreck.gather_figures(consumer)
    doors.close()
    if not book.acknowledged:
        book.wrongs.add("nothing was accepted", plan)
    record = await read_record(made.servers.postgres.url, made.ledger)
    found = recoveries(done, record.rows, record.attempts)
    return Outcome(
        plan,
        judge(book, record, calm=not plan.faults),
        found,
        book,
        dict(wreck.figures),
        rest_s,
        load.stayed_away,
        samples,
    )


async def _break_all(wreck: FaultInjector, plan: Plan, book: ClientLog, say: Say) -> list[Done]:
    """Do every fault at its time; return once all are over and the time is up."""
    began = monotonic()
    tasks: list[asyncio.Task[Done | None]] = []
    async with asyncio.TaskGroup() as group:
        for fault in plan.faults:
            await asyncio.sleep(max(0.0, began + fault.at_s - monotonic()))
            say(str(fault))
            tasks.append(group.create_task(_break(wreck, fault, book), name=str(fault)))
    await asyncio.sleep(max(0.0, began + plan.seconds - monotonic()))
    return [done for task in tasks if (done := task.result()) is not None]


async def _break(wreck: FaultInjector, fault: Fault, book: ClientLog) -> Done | None:
    """A fault that cannot be done, or undone, is a wrong of its own: what it was to show was not seen."""
    try:
        return await wreck.do(fault)
    except Exception as error:  # noqa: BLE001  the rest of the run is worth having
        book.wrongs.add("fault not done", f"{fault}: {error!r}")
        return None


async def _come_to_rest(made: Site, say: Say) -> float:
    """Wait until nothing is unfinished, or the time for it is over."""
    began = monotonic()
    while (left := await unfinished(made.servers.postgres.url)) and monotonic() < began + made.plan.quiesce_s:
        say(f"coming to rest: {left} jobs left")
        await asyncio.sleep(1)
    return monotonic() - began


async def _tell(book: ClientLog, plan: Plan, say: Say) -> None:
    began = monotonic()
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        spent = monotonic() - began
        wrong = f", WRONG: {dict(book.wrongs.counts)}" if book.wrongs.counts else ""
        say(
            f"{spent:7.1f} s of {plan.seconds:.0f}: {book.acknowledged} acknowledged of {book.attempted}{wrong}"
        )
