"""How each kind of fault is inflicted on real processes, servers and connections, and undone again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

import aiormq
import httpx2
import redis.asyncio as redis
from aiormq.exceptions import ChannelNotFoundEntity

from infra.local.server import Server
from sluice.core.lanes import PRIORITIES, queue_name
from tests.fault.chaos import failover_faults, host_faults, left_behind
from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.edge import Edge
from tests.fault.chaos.host_faults import HostFaults
from tests.fault.chaos.schedule import Fault
from tests.support.proxy import BOTH, NORMAL, Behaviour
from tests.support.redundant_servers import RedundantServers
from tests.support.stack import Process, Stack

QUEUES = [queue_name("default", priority) for priority in PRIORITIES]
USUAL_LIMIT, ABSURD_LIMIT = "200MB", "9000GB"
"""Free disk below which RabbitMQ blocks publishers: its usual setting, and more than any machine has."""
CUT_AFTER = 20_000
METRICS_S = 3.0
SLOW = Behaviour(latency_s=0.1, jitter_s=0.2)
SUMMED_METRICS = (
    "sluice_stale_outcomes_total",
    "sluice_leases_lost_total",
    "sluice_ids_void_total",
    "sluice_ids_redispatched_total",
)
"""Counters of consumers that are added up over all their restarts."""


class InjectedFault(NamedTuple):
    """A fault that was inflicted: when it began and ended (seconds since the epoch), and the process it hit, if any."""

    fault: Fault
    began: float
    ended: float
    pid: int | None = None


class FaultInjector:
    """Inflicts faults on a stack whose processes reach their servers through `edges`, named like `api-postgres`."""

    def __init__(
        self, stack: Stack, edges: Mapping[str, Edge], hosts: HostFaults, violations: Violations
    ) -> None:
        self._stack, self._edges, self._hosts, self._violations = stack, edges, hosts, violations
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.metrics: Counter[str] = Counter()
        self._actions: Mapping[str, Callable[[Fault], Awaitable[float]]] = {
            "api-kill": self._kill_process, "consumer-kill": self._kill_consumer,
            "api-stop": self._stop_process, "consumer-stop": self._stop_process, "consumer-freeze": self._freeze_process,
            "host-kill": partial(self._end_host, host_faults.kill),
            "host-garbage": partial(self._end_host, host_faults.write_garbage),
            "host-hang-up": partial(self._end_host, host_faults.hang_up),
            "slot-kill": partial(self._end_host, host_faults.kill),
            "host-freeze": self._freeze_host, "slot-freeze": self._freeze_host, "host-starve": self._starve_host,
            "rabbitmq-kill": self._kill_server, "redis-kill": self._kill_server, "postgres-kill": self._kill_server,
            "rabbitmq-freeze": self._freeze_server, "redis-freeze": self._freeze_server,
            "postgres-freeze": self._freeze_server,
            "rabbitmq-hang": self._hang_server, "postgres-hang": self._hang_server,
            "rabbitmq-wipe": self._wipe, "rabbitmq-alarm": self._alarm,
            "rabbitmq-purge": self._purge, "rabbitmq-delete": self._delete, "redis-flush": self._flush,
            "edge-slow": self._slow, "edge-silent": self._silence, "edge-reset": self._reset, "edge-cut": self._cut,
            "wipe-and-flush": self._wipe_and_flush,
            "postgres-promote": partial(self._fail_over, failover_faults.promote),
            "redis-switch": partial(self._fail_over, failover_faults.switch_redis),
            "leader-kill": partial(self._fail_over, failover_faults.kill_leader),
            "leader-freeze": partial(self._fail_over, failover_faults.freeze_leader),
        }  # fmt: skip

    @property
    def kinds(self) -> set[str]:
        """Return every kind of fault it can inflict."""
        return set(self._actions)

    async def do(self, fault: Fault) -> InjectedFault:
        """Inflict one fault and undo it; nothing else hits the same target meanwhile."""
        async with self._locked(fault.target.split("+")):
            pid = (
                self._process(fault).pid if "-" in fault.target and fault.target not in self._edges else None
            )
            began = time.time()
            ended = await self._actions[fault.kind](fault)
        return InjectedFault(fault, began, ended, pid)

    async def add_metrics(self, process: Process) -> None:
        """Add up what a consumer has counted, before it ends."""
        with suppress(httpx2.HTTPError, TimeoutError):
            async with asyncio.timeout(METRICS_S):
                found = await process.metrics()
            self.metrics.update({name: int(found.get(name, 0)) for name in SUMMED_METRICS})

    @asynccontextmanager
    async def _locked(self, names: list[str]) -> AsyncIterator[None]:
        for name in sorted(names):
            await self._locks[name].acquire()
        try:
            yield
        finally:
            for name in names:
                self._locks[name].release()

    def _process(self, fault: Fault) -> Process:
        role, number = fault.target.split("-")
        return (self._stack.apis if role == "api" else self._stack.consumers)[int(number)]

    def _server(self, fault: Fault) -> Server:
        found: Server = getattr(self._stack.servers, fault.target)
        return found

    async def _kill_process(self, fault: Fault) -> float:
        victim = self._process(fault)
        return await self._end_and_restart(victim, victim.kill, fault)

    async def _kill_consumer(self, fault: Fault) -> float:
        """Kill a consumer; its hosts have to end by themselves, with what their jobs have started."""
        below = left_behind.descendants(self._process(fault).pid)
        ended = await self._kill_process(fault)
        await left_behind.until_gone(below, str(fault), self._violations)
        return ended

    async def _end_host(self, harm: Callable[[int], None], fault: Fault) -> float:
        return await self._hosts.end(self._process(fault).pid, harm, fault.kind.startswith("host"))

    async def _freeze_host(self, fault: Fault) -> float:
        shared = fault.kind.startswith("host")
        return await self._hosts.freeze(self._process(fault).pid, fault.lasts_s, shared)

    async def _starve_host(self, fault: Fault) -> float:
        return await self._hosts.starve(self._process(fault).pid, fault.lasts_s)

    async def _stop_process(self, fault: Fault) -> float:
        victim = self._process(fault)
        return await self._end_and_restart(victim, victim.stop, fault)

    async def _end_and_restart(self, victim: Process, end: Callable[[], object], fault: Fault) -> float:
        if fault.target.startswith("consumer"):
            await self.add_metrics(victim)
        await asyncio.to_thread(end)
        await asyncio.sleep(fault.lasts_s)
        victim.start()
        ended = time.time()
        await victim.ready()
        return ended

    async def _freeze_process(self, fault: Fault) -> float:
        victim = self._process(fault)
        return await self._hold(
            fault, partial(victim.signal, signal.SIGSTOP), partial(victim.signal, signal.SIGCONT)
        )

    async def _fail_over(
        self, act: Callable[[RedundantServers, Fault], Awaitable[float]], fault: Fault
    ) -> float:
        return await act(failover_faults.spares(self._stack.servers), fault)

    async def _kill_server(self, fault: Fault) -> float:
        server = self._server(fault)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(fault.lasts_s)
        await asyncio.to_thread(server.start)
        return time.time()

    async def _freeze_server(self, fault: Fault) -> float:
        server = self._server(fault)
        return await self._hold(fault, server.freeze, server.thaw)

    async def _hang_server(self, fault: Fault) -> float:
        server = self._server(fault)
        await asyncio.to_thread(server.freeze)
        await asyncio.sleep(fault.lasts_s)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        return time.time()

    async def _wipe(self, fault: Fault) -> float:
        rabbitmq = self._stack.servers.rabbitmq
        await asyncio.to_thread(rabbitmq.kill)
        await asyncio.to_thread(rabbitmq.wipe)
        await asyncio.sleep(fault.lasts_s)
        await asyncio.to_thread(rabbitmq.start)
        return time.time()

    async def _alarm(self, fault: Fault) -> float:
        set_limit = partial(self._stack.servers.rabbitmq.control, "set_disk_free_limit")
        return await self._hold(fault, partial(set_limit, ABSURD_LIMIT), partial(set_limit, USUAL_LIMIT))

    async def _purge(self, _: Fault) -> float:
        """Empty the queues, as an operator might; one may have been deleted a moment ago."""
        for name in QUEUES:
            with suppress(ChannelNotFoundEntity):
                async with self._operator() as channel:
                    await channel.queue_purge(name)
        return time.time()

    async def _delete(self, _: Fault) -> float:
        """Delete a queue, as an operator might."""
        async with self._operator() as channel:
            await channel.queue_delete(QUEUES[1])
        return time.time()

    async def _flush(self, _: Fault) -> float:
        client = redis.Redis.from_url(self._stack.servers.redis.url)
        await client.flushall()
        await client.aclose()
        return time.time()

    async def _wipe_and_flush(self, fault: Fault) -> float:
        """Lose everything but the record at once."""
        ended, _ = await asyncio.gather(self._wipe(fault), self._flush(fault))
        return ended

    async def _slow(self, fault: Fault) -> float:
        return await self._misbehave(fault, SLOW)

    async def _silence(self, fault: Fault) -> float:
        return await self._misbehave(fault, Behaviour(silent=BOTH))

    async def _cut(self, fault: Fault) -> float:
        return await self._misbehave(fault, Behaviour(cut_after=CUT_AFTER))

    async def _reset(self, fault: Fault) -> float:
        await asyncio.to_thread(self._edges[fault.target].reset)
        return time.time()

    async def _misbehave(self, fault: Fault, behaviour: Behaviour) -> float:
        edge = self._edges[fault.target]
        return await self._hold(fault, partial(edge.behave, behaviour), partial(edge.behave, NORMAL))

    async def _hold(self, fault: Fault, begin: Callable[[], object], end: Callable[[], object]) -> float:
        """Begin, wait for as long as the fault lasts, and end it whatever happens."""
        await asyncio.to_thread(begin)
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            await asyncio.to_thread(end)
        return time.time()

    @asynccontextmanager
    async def _operator(self) -> AsyncIterator[aiormq.abc.AbstractChannel]:
        connection = await aiormq.connect(self._stack.servers.rabbitmq.url)
        try:
            yield await connection.channel()
        finally:
            await connection.close()
