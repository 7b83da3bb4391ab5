"""Each server and each process dies under load: every accepted job finishes, once, with the right result."""

from __future__ import annotations

import asyncio

import pytest

from tests.load import Load
from tests.stack import Stack

SLEEP = {"kind": "demo.sleep", "input": {"seconds": 1.5}}


async def test_an_api_killed_right_after_its_202_loses_nothing(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    load = Load(bare_stack)
    async with load.running(clients=16):
        for _ in range(5):
            await load.more(40)
            bare_stack.apis[0].kill()
            bare_stack.apis[0].start()
            await bare_stack.apis[0].ready()
    await bare_stack.add_consumer().ready()
    await load.check()


async def test_a_consumer_killed_in_mid_work_is_replaced(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=2)
    async with bare_stack.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/jobs", json=SLEEP) for _ in range(40)))
        ids = [answer.json()["id"] for answer in answers]
        await _running(bare_stack, 20)
        bare_stack.consumers[0].kill()
        rows = await bare_stack.finished(ids)
    assert {row["state"] for row in rows.values()} == {"succeeded"}
    assert any(row["fence"] > 1 for row in rows.values()), "the killed consumer held nothing"


@pytest.mark.parametrize("server", ["rabbitmq", "redis", "postgres"])
async def test_a_server_restarted_under_load_loses_nothing(bare_stack: Stack, server: str) -> None:
    await bare_stack.start(consumers=2)
    load = Load(bare_stack)
    victim = getattr(bare_stack.servers, server)
    async with load.running():
        await load.more(100)
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        await load.more(100)
    await load.check()
    assert set(load.refused) <= {503}


async def test_a_broker_that_lost_its_disk_loses_nothing(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    load = Load(bare_stack)
    async with load.running():
        await load.more(100)
    await asyncio.to_thread(bare_stack.servers.rabbitmq.kill)
    await asyncio.to_thread(bare_stack.servers.rabbitmq.wipe)
    await asyncio.to_thread(bare_stack.servers.rabbitmq.start)
    await bare_stack.add_consumer().ready()
    await load.check()


async def test_a_frozen_consumer_cannot_write_over_its_successor(bare_stack: Stack) -> None:
    import signal

    await bare_stack.start(consumers=1)
    async with bare_stack.client() as client:
        ids = [(await client.post("/v1/jobs", json=SLEEP)).json()["id"] for _ in range(5)]
        await _running(bare_stack, 5)
        frozen = bare_stack.consumers[0]
        frozen.signal(signal.SIGSTOP)
        await bare_stack.add_consumer().ready()
        first = await bare_stack.finished(ids)
        frozen.signal(signal.SIGCONT)
        await frozen.ready()
        assert (await frozen.figures())["sluice_leases_lost_total"] == 5
        second = await bare_stack.finished(ids)
    assert {row["fence"] for row in first.values()} == {2}
    assert {job_id: row["result"] for job_id, row in first.items()} == {
        job_id: row["result"] for job_id, row in second.items()
    }


async def test_a_stopped_consumer_gives_its_work_back(bare_stack: Stack) -> None:
    bare_stack._settings |= {"stop_s": 0.5}
    await bare_stack.start(consumers=1)
    async with bare_stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 3}})
        await _running(bare_stack, 1)
        assert await asyncio.to_thread(bare_stack.consumers[0].stop) == 0
        document = (await client.get(job.json()["links"]["self"])).json()
        assert (document["state"], document["attempt"]) == ("queued", 0)
        await bare_stack.add_consumer().ready()
        rows = await bare_stack.finished([document["id"]])
    assert rows[document["id"]]["state"] == "succeeded"


async def _running(stack: Stack, count: int) -> None:
    """Wait until so many jobs run."""
    import asyncpg

    connection = await asyncpg.connect(stack.servers.postgres.url)
    async with asyncio.timeout(30):
        while await connection.fetchval("select count(*) from jobs where state = 'running'") < count:
            await asyncio.sleep(0.02)
    await connection.close()
