"""Every connection is reset again and again under load: all come back, none is left over, and no job is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import aiormq
import pytest

from infra.local.servers import Servers
from sluice.core.lanes import PRIORITIES, queue_name
from tests.fault.chaos.run import ChaosStack, Plan, chaos_stack
from tests.fault.chaos.schedule import ProcessCounts
from tests.support.load import Load
from tests.support.stack import Process

RESETS_S = 5.0
EVERY_S = 0.35
SPARE = 5
"""How much a pool may have grown, or how many more files may be open for a moment. A leak would be one per reset."""

QUEUES = ["sluice.dead", *(queue_name(lane, each) for lane in ("default", "heavy") for each in PRIORITIES)]
PLAN = Plan(
    1, RESETS_S, processes=ProcessCounts(apis=1, consumers=1), settings={"handlers": "sluice.kinds.demo_sum"}
)


@pytest.mark.timeout(180)
async def test_connections_that_are_reset_all_the_time_all_come_back_and_none_is_left_over(
    servers: Servers, tmp_path: Path
) -> None:
    async with chaos_stack(PLAN, servers, tmp_path) as chaos:
        warm_up = Load(chaos.stack)
        async with warm_up.running(clients=16):
            await warm_up.more(400)
        await warm_up.check()
        before = await counts(chaos)
        load = Load(chaos.stack)
        async with load.running(clients=8):
            until = monotonic() + RESETS_S
            while monotonic() < until:
                for edge in chaos.edges.values():
                    edge.reset()
                await asyncio.sleep(EVERY_S)
            delivered = (await chaos.stack.consumers[0].metrics())["sluice_ids_delivered_total"]
            await load.more(200)
        await load.check()
        assert set(load.refused) <= {503}
        assert load.unknown == 0, "a process died too"
        await until_as_before(chaos, before)
        assert (await chaos.stack.consumers[0].metrics())["sluice_ids_delivered_total"] > delivered
        for each in processes(chaos):
            await each.ready()


async def counts(chaos: ChaosStack) -> dict[str, int | None]:
    """Return the consumers of each queue, the connections on each edge, and the open files of each process."""
    found: dict[str, int | None] = dict(await consumers_of(chaos.servers))
    found |= {name: edge.connections for name, edge in chaos.edges.items()}
    return found | {each.log.stem: open_files(each) for each in processes(chaos)}


async def until_as_before(chaos: ChaosStack, before: dict[str, int | None]) -> None:
    """Wait until nothing that takes part is missing, and nothing is left over."""
    until = monotonic() + 30
    while True:
        now = await counts(chaos)
        wrong = {name: (before[name], now[name]) for name in now if not fits(name, before[name], now[name])}
        if not wrong:
            return
        assert monotonic() < until, wrong
        await asyncio.sleep(0.2)


def fits(name: str, before: int | None, now: int | None) -> bool:
    """Compare exactly what RabbitMQ sees; pools may be smaller, and grow when they have to."""
    if "rabbitmq" in name or name in QUEUES:
        return now == before
    return (now or 0) <= (before or 0) + SPARE


def processes(chaos: ChaosStack) -> list[Process]:
    return chaos.stack.apis + chaos.stack.consumers


def open_files(process: Process) -> int:
    """Return how many files the kernel has open for it."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def consumers_of(servers: Servers) -> dict[str, int | None]:
    """Return how many consumers each queue has, as RabbitMQ sees it."""
    connection = await aiormq.connect(servers.rabbitmq.url)
    try:
        channel = await connection.channel()
        answers = {name: await channel.queue_declare(name, passive=True) for name in QUEUES}
    finally:
        await connection.close()
    return {name: answer.consumer_count for name, answer in answers.items()}
