"""One run from start to verdict: start everything, load it, break it, let it come to rest, compare."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from random import Random
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from infra.local.servers import Servers
from tests.fault.chaos.checker import Verdict, judge
from tests.fault.chaos.client_log import ClientLog
from tests.fault.chaos.client_requests import ClientRequests
from tests.fault.chaos.edge import Edge
from tests.fault.chaos.fault_injector import FaultInjector, InjectedFault
from tests.fault.chaos.host_faults import HostFaults
from tests.fault.chaos.http_client import ConnectionPool, LoadBalancer
from tests.fault.chaos.kinds import LEDGER
from tests.fault.chaos.left_behind import end, of_jobs, of_run, until_gone
from tests.fault.chaos.load import CLIENT_MIX, Load
from tests.fault.chaos.record_snapshot import noted_leases, read_record, unfinished
from tests.fault.chaos.recovery import Recovery, recoveries
from tests.fault.chaos.resource_samples import Sample, watch
from tests.fault.chaos.schedule import (
    BLOCKED_S,
    EDGES,
    FULL,
    LEASE_S,
    SERVERS,
    Fault,
    ProcessCounts,
    schedule,
)
from tests.fault.chaos.told import SETTINGS as TOLD
from tests.fault.chaos.told import TENANT, ToldTenant, told_tenant
from tests.support.proxy import Proxies
from tests.support.stack import ROOT, Stack, make_a_key

Say = Callable[[str], None]

QUIESCE_S = 60.0
SAY_EVERY_S = 5.0
TENANTS = ("demo", "acme")
KINDS = "tests.fault.chaos.kinds,tests.fault.chaos.hostile_kinds"
SETTINGS: dict[str, object] = {
    "handlers": KINDS,
    "lease_s": LEASE_S,
    "beat_s": 0.5,
    "dispatch_due_s": 2,
    "processes": 1,
    "blocked_s": BLOCKED_S,
    "lanes": '{"default":{"slots":128,"ids_per_message":64},"heavy":{"slots":1,"ids_per_message":1}}',
}


class Plan(NamedTuple):
    """What a run consists of. Everything the seed decides follows from this alone."""

    seed: int
    seconds: float
    mix: Mapping[str, int] = FULL
    rate: float = 160.0
    processes: ProcessCounts = ProcessCounts()
    client_mix: Mapping[str, float] = CLIENT_MIX
    script: tuple[Fault, ...] | None = None
    settings: Mapping[str, object] = {}
    quiesce_s: float = QUIESCE_S
    told: bool = False
    """Whether there is a tenant that is told of its jobs, besides those of the load."""

    @property
    def faults(self) -> list[Fault]:
        """Return which fault comes when; a script overrides the seed."""
        return (
            list(self.script)
            if self.script is not None
            else schedule(self.seed, self.seconds, self.mix, self.processes)
        )


class Outcome(NamedTuple):
    """What a run came to. `rest_s` is how long the last jobs took after the last client had left."""

    plan: Plan
    verdict: Verdict
    recoveries: list[Recovery]
    log: ClientLog
    figures: dict[str, int]
    rest_s: float
    not_started: int
    samples: list[Sample]


class ChaosStack:
    """Everything that runs: servers, processes, and a proxy on every edge between them."""

    def __init__(self, plan: Plan, servers: Servers, directory: Path, root: Path = ROOT) -> None:
        self.plan, self.servers = plan, servers
        self.ledger = directory / "ledger"
        self.proxies = Proxies()
        self.edges: dict[str, Edge] = {}
        self.keys: dict[str, str] = {}
        settings = SETTINGS | {"postgres_connections": plan.processes.connections} | dict(plan.settings)
        settings |= TOLD if plan.told else {}
        self.stack = Stack(servers, directory, **settings)
        self.stack.root = root
        self.stack.environment |= {LEDGER: str(self.ledger), "PYTHONPATH": str(ROOT)}

    async def open(self) -> None:
        """Start all processes."""
        urls = self.servers.urls
        self.edges |= {name: Edge(self.proxies, urls[name.partition("-")[2]]) for name in EDGES}
        await self.stack.start(apis=0, consumers=0)
        self.keys = {
            each: await make_a_key(self.servers, each, ["submit", "read", "payloads"]) for each in TENANTS
        }
        for _ in range(self.plan.processes.apis):
            self.stack.add_api(**self._urls("api"))
        for _ in range(self.plan.processes.consumers):
            self.stack.add_consumer(**self._urls("consumer"))
        await asyncio.gather(*(each.ready() for each in self.stack.apis + self.stack.consumers))

    def close(self) -> None:
        """Stop all processes."""
        self.stack.stop()
        self.proxies.close()

    def load_balancer(self) -> LoadBalancer:
        """Return the way in for clients."""
        return LoadBalancer([ConnectionPool(urlsplit(api.url).port or 0) for api in self.stack.apis])

    def pids(self) -> dict[str, int]:
        """Return the main process of everything that runs."""
        every = {f"api-{number}": each.process for number, each in enumerate(self.stack.apis)}
        every |= {f"consumer-{number}": each.process for number, each in enumerate(self.stack.consumers)}
        found = {name: process.pid for name, process in every.items() if process is not None}
        return found | {server.name: pids[0] for server in self.servers if (pids := server.pids)}

    def _urls(self, role: str) -> dict[str, object]:
        """Return the settings that lead this role to its servers through its proxies."""
        return {f"{name}_url": self.edges[f"{role}-{name}"].url for name in SERVERS}


@asynccontextmanager
async def chaos_stack(
    plan: Plan, servers: Servers, directory: Path, root: Path = ROOT
) -> AsyncIterator[ChaosStack]:
    """Run everything for the block."""
    chaos = ChaosStack(plan, servers, directory, root)
    async with noted_leases(servers):
        try:
            await chaos.open()
            yield chaos
        finally:
            await asyncio.to_thread(chaos.close)


async def run(plan: Plan, servers: Servers, directory: Path, say: Say, root: Path = ROOT) -> Outcome:
    """Do the whole run. Violations are in the outcome's verdict; errors are those of the harness."""
    async with chaos_stack(plan, servers, directory, root) as chaos:
        outcome = await _run(chaos, say)
    left = of_run(chaos.ledger)
    await until_gone(left, "after the end", outcome.log.violations)
    end(left)
    return outcome


async def _run(chaos: ChaosStack, say: Say) -> Outcome:
    plan, log, balancer = chaos.plan, ClientLog(), chaos.load_balancer()
    load = Load(ClientRequests(balancer, chaos.keys, log), log, Random(plan.seed), plan.rate, plan.client_mix)
    hosts, samples, counts = HostFaults(chaos.ledger), list[Sample](), dict[str, int]()
    injector = FaultInjector(chaos.stack, chaos.edges, hosts, log.violations)
    async with await _told_tenant(chaos, balancer, log) as told:
        done = await _break_under_load(chaos, load, log, injector, told, samples, say)
        rest_s = await _until_quiet(chaos, say)
        if told is not None:
            counts = await told.judge(done, plan.quiesce_s)
    await until_gone(of_jobs(chaos.ledger), "after all jobs", log.violations)
    for consumer in chaos.stack.consumers:
        await injector.add_metrics(consumer)
    balancer.close()
    if not log.acknowledged:
        log.violations.add("nothing was accepted", plan)
    record = await read_record(chaos.servers.postgres.url, chaos.ledger, hosts.hit)
    found = recoveries(done, record.rows, record.attempts)
    verdict = judge(log, record, no_faults=not plan.faults)
    verdict.counts.update(counts)
    return Outcome(plan, verdict, found, log, dict(injector.metrics), rest_s, load.not_started, samples)


async def _told_tenant(
    chaos: ChaosStack, balancer: LoadBalancer, log: ClientLog
) -> AbstractAsyncContextManager[ToldTenant | None]:
    """Return the tenant that is told of its jobs, if the plan has one."""
    if not chaos.plan.told:
        return nullcontext()
    key = await make_a_key(chaos.servers, TENANT, ["submit", "read", "payloads", "admin"])
    urls = chaos.servers.postgres.url, chaos.servers.rabbitmq.url, chaos.stack.url
    return told_tenant(urls, balancer, key, log)


async def _break_under_load(
    chaos: ChaosStack,
    load: Load,
    log: ClientLog,
    injector: FaultInjector,
    told: ToldTenant | None,
    samples: list[Sample],
    say: Say,
) -> list[InjectedFault]:
    """Inflict every fault while clients work; return once all are over, and the last client has ended."""
    plan, stop = chaos.plan, asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stop), name="load")
        if told is not None:
            group.create_task(told.run(stop, plan.seconds, plan.quiesce_s), name="told")
        sides = [
            group.create_task(_report_progress(log, plan, say), name="progress"),
            group.create_task(watch(chaos.pids, samples), name="samples"),
        ]
        done = await _inject_all(injector, plan, log, say)
        stop.set()
        for side in sides:
            side.cancel()
    return done


async def _inject_all(injector: FaultInjector, plan: Plan, log: ClientLog, say: Say) -> list[InjectedFault]:
    """Inflict every fault at its time; return once all are over and the time is up."""
    began = monotonic()
    tasks: list[asyncio.Task[InjectedFault | None]] = []
    async with asyncio.TaskGroup() as group:
        for fault in plan.faults:
            await asyncio.sleep(max(0.0, began + fault.at_s - monotonic()))
            say(str(fault))
            tasks.append(group.create_task(_inject(injector, fault, log), name=str(fault)))
    await asyncio.sleep(max(0.0, began + plan.seconds - monotonic()))
    return [done for task in tasks if (done := task.result()) is not None]


async def _inject(injector: FaultInjector, fault: Fault, log: ClientLog) -> InjectedFault | None:
    """Inflict one fault. One that cannot be done or undone is a violation itself: what it was to show was not seen."""
    try:
        return await injector.do(fault)
    except Exception as error:  # noqa: BLE001  the rest of the run is worth having
        log.violations.add("fault not done", f"{fault}: {error!r}")
        return None


async def _until_quiet(chaos: ChaosStack, say: Say) -> float:
    """Wait until nothing is unfinished, or the time for it is over; return how long it took."""
    began = monotonic()
    while (
        left := await unfinished(chaos.servers.postgres.url)
    ) and monotonic() < began + chaos.plan.quiesce_s:
        say(f"coming to rest: {left} jobs left")
        await asyncio.sleep(1)
    return monotonic() - began


async def _report_progress(log: ClientLog, plan: Plan, say: Say) -> None:
    began = monotonic()
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        spent = monotonic() - began
        wrong = f", WRONG: {dict(log.violations.counts)}" if log.violations.counts else ""
        say(
            f"{spent:7.1f} s of {plan.seconds:.0f}: {log.acknowledged} acknowledged of {log.attempted}{wrong}"
        )
