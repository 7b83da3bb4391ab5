"""Every connection is reset again and again under load: all come back, none is left over, and no job is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import aiormq
import pytest

from infra.local.servers import Servers
from sluice.core.lanes import PRIORITIES, queue_name
from tests.fault.chaos.run import Plan, Site, site
from tests.fault.chaos.schedule import Crew
from tests.support.load import Load
from tests.support.stack import Process

CHURN_S = 5.0
EVERY_S = 0.35
SPARE = 5
"""By so many a pool may have grown, or files may be open for a moment. A leak would be one for every reset."""

QUEUES = ["sluice.dead", *(queue_name(lane, each) for lane in ("default", "heavy") for each in PRIORITIES)]
PLAN = Plan(1, CHURN_S, crew=Crew(apis=1, consumers=1), settings={"handlers": "sluice.kinds.demo_sum"})


@pytest.mark.timeout(180)
async def test_connections_that_are_reset_all_the_time_all_come_back_and_none_is_left_over(
    servers: Servers, tmp_path: Path
) -> None:
    async with site(PLAN, servers, tmp_path) as made:
        warm = Load(made.stack)
        async with warm.running(clients=16):
            await warm.more(400)
        await warm.check()
        before = await standing(made)
        load = Load(made.stack)
        async with load.running(clients=8):
            until = monotonic() + CHURN_S
            while monotonic() < until:
                for edge in made.edges.values():
                    edge.reset()
                await asyncio.sleep(EVERY_S)
            delivered = (await made.stack.consumers[0].metrics())["sluice_ids_delivered_total"]
            await load.more(200)
        await load.check()
        assert set(load.refused) <= {503}
        assert load.unknown == 0, "a process died too"
        await as_it_was(made, before)
        assert (await made.stack.consumers[0].metrics())["sluice_ids_delivered_total"] > delivered
        for each in processes(made):
            await each.ready()


async def standing(made: Site) -> dict[str, int | None]:
    """Consumers of each queue, connections on each edge, and open files of each process."""
    found: dict[str, int | None] = dict(await consumers_of(made.servers))
    found |= {name: edge.connections for name, edge in made.edges.items()}
    return found | {each.log.stem: open_files(each) for each in processes(made)}


async def as_it_was(made: Site, before: dict[str, int | None]) -> None:
    """Wait until there is no less than before of what takes part, and no more of what can be left over."""
    until = monotonic() + 30
    while True:
        now = await standing(made)
        wrong = {name: (before[name], now[name]) for name in now if not fits(name, before[name], now[name])}
        if not wrong:
            return
        assert monotonic() < until, wrong
        await asyncio.sleep(0.2)


def fits(name: str, before: int | None, now: int | None) -> bool:
    """What RabbitMQ sees is exactly as it was; pools may be smaller, and grow when they have to."""
    if "rabbitmq" in name or name in QUEUES:
        return now == before
    return (now or 0) <= (before or 0) + SPARE


def processes(made: Site) -> list[Process]:
    return made.stack.apis + made.stack.consumers


def open_files(process: Process) -> int:
    """What the kernel says it has open."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def consumers_of(servers: Servers) -> dict[str, int | None]:
    """Who consumes each queue, as RabbitMQ sees it."""
    connection = await aiormq.connect(servers.rabbitmq.url)
    try:
        channel = await connection.channel()
        answers = {name: await channel.queue_declare(name, passive=True) for name in QUEUES}
    finally:
        await connection.close()
    return {name: answer.consumer_count for name, answer in answers.items()}
