"""Each server and each process dies under load: every accepted job finishes, once, with the right result."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.fault.claims import check_claims
from tests.fault.jobs import check_stops_under_load, submit, until_running
from tests.support.load import Load
from tests.support.stack import Process, Stack

NAP = {"kind": "demo.sleep", "input": {"seconds": 1}}
POISON = """
import os
from pydantic import BaseModel
from sluice import handler

class Ask(BaseModel):
    number: int = 0

@handler("own.poison")
async def poison(ask: Ask) -> Ask:
    os.abort()

@handler("own.good")
async def good(ask: Ask) -> Ask:
    return ask
"""


async def test_an_api_killed_right_after_its_202_loses_nothing(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    load = Load(bare_stack)
    async with load.running(clients=16):
        for _ in range(3):
            await load.more(30)
            bare_stack.apis[0].kill()
            bare_stack.apis[0].start()
            await bare_stack.apis[0].ready()
    await bare_stack.add_consumer().ready()
    await load.check()
    await check_claims(bare_stack)


async def test_a_consumer_killed_in_mid_work_is_replaced(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=2)
    ids = await submit(bare_stack, NAP, 6)
    await until_running(bare_stack, 6)
    victim, held = await holder(bare_stack)
    victim.kill()
    rows = await bare_stack.finished(ids)
    assert {row["state"] for row in rows.values()} == {"succeeded"}
    assert Counter(row["fence"] for row in rows.values()) == Counter({2: held, 1: 6 - held})
    assert Counter(row["attempt"] for row in rows.values()) == {1: 6}, "the first crash is not charged"
    assert await check_claims(bare_stack) == Counter({"lease-lost": held})


@pytest.mark.parametrize("server", ["rabbitmq", "redis", "postgres"])
async def test_a_server_restarted_under_load_loses_nothing(bare_stack: Stack, server: str) -> None:
    await bare_stack.start(consumers=2)
    load = Load(bare_stack)
    victim = getattr(bare_stack.servers, server)
    async with load.running():
        await load.more(60)
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        await load.more(60)
    await load.check()
    assert set(load.refused) <= ({503} if server == "postgres" else set())
    assert load.unknown == 0, "a process died too"
    await check_claims(bare_stack)
    for each in bare_stack.apis + bare_stack.consumers:
        await each.ready()


async def test_who_waits_hears_of_the_end_although_redis_has_died_meanwhile(bare_stack: Stack) -> None:
    await bare_stack.start()
    api = bare_stack.apis[0]
    headers = {"Prefer": "wait=10"}  # a lost wake-up would cost 15 s
    async with bare_stack.client() as client, asyncio.TaskGroup() as group:
        before = [group.create_task(client.post("/v1/jobs", json=NAP, headers=headers)) for _ in range(3)]
        await api.until_metric("sluice_waiting_requests", 3)
        await asyncio.to_thread(bare_stack.servers.redis.kill)
        after = [group.create_task(client.post("/v1/jobs", json=NAP, headers=headers)) for _ in range(3)]
    answers = [task.result() for task in before + after]
    assert [(each.status_code, each.json()["state"]) for each in answers] == [(200, "succeeded")] * 6


async def test_a_broker_that_lost_its_disk_loses_nothing(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    load = Load(bare_stack)
    async with load.running():
        await load.more(60)
    await asyncio.to_thread(bare_stack.servers.rabbitmq.kill)
    await asyncio.to_thread(bare_stack.servers.rabbitmq.wipe)
    await asyncio.to_thread(bare_stack.servers.rabbitmq.start)
    await bare_stack.add_consumer().ready()
    await load.check()
    await check_claims(bare_stack)


async def test_a_record_that_dies_for_longer_than_a_lease_charges_no_job_for_it(bare_stack: Stack) -> None:
    bare_stack._settings |= {"lease_s": 5}
    await bare_stack.start(consumers=1)
    ids = await submit(bare_stack, {"kind": "demo.sleep", "input": {"seconds": 2}}, 20)
    await until_running(bare_stack, 20)
    postgres = bare_stack.servers.postgres
    await asyncio.to_thread(postgres.kill)
    await asyncio.sleep(6)  # longer than the lease: nothing signals its end
    await asyncio.to_thread(postgres.start)
    rows = await bare_stack.finished(ids)
    assert {(row["state"], row["attempt"], row["crash_count"]) for row in rows.values()} == {
        ("succeeded", 1, 0)
    }
    assert (await check_claims(bare_stack)).keys() <= {"released"}


async def test_a_frozen_consumer_cannot_write_over_its_successor(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=1)
    ids = await submit(bare_stack, NAP, 2)
    await until_running(bare_stack, 2)
    frozen = bare_stack.consumers[0]
    frozen.signal(signal.SIGSTOP)
    await bare_stack.add_consumer().ready()
    first = await bare_stack.finished(ids)
    frozen.signal(signal.SIGCONT)
    await frozen.ready()
    # Whether a renewal of the lease or the end of the handler comes first: what it tries to write is refused.
    await frozen.until_metric("sluice_stale_outcomes_total", 2)
    second = await bare_stack.finished(ids)
    assert {row["fence"] for row in first.values()} == {2}
    assert {job_id: tuple(row) for job_id, row in first.items()} == {
        job_id: tuple(row) for job_id, row in second.items()
    }
    assert await check_claims(bare_stack) == Counter({"lease-lost": 2})


async def test_a_consumer_that_thaws_goes_on_working(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=1)
    consumer = bare_stack.consumers[0]
    consumer.signal(signal.SIGSTOP)
    ids = await submit(bare_stack, {"kind": "demo.sum", "input": {"values": [1]}}, 20)
    await asyncio.sleep(2.5)  # longer than a lease: nothing signals its end
    consumer.signal(signal.SIGCONT)
    rows = await bare_stack.finished(ids)
    assert {row["state"] for row in rows.values()} == {"succeeded"}


async def test_a_stopped_consumer_gives_its_work_back_at_once(bare_stack: Stack) -> None:
    bare_stack.add_consumer(stop_s=0.2)
    await bare_stack.start(consumers=0)
    await bare_stack.consumers[0].ready()
    ids = await submit(bare_stack, NAP, 3)
    await until_running(bare_stack, 3)
    assert await asyncio.wait_for(asyncio.to_thread(bare_stack.consumers[0].stop), 30) == 0
    async with bare_stack.client() as client:
        shown = [(await client.get(f"/v1/jobs/{job_id}")).json() for job_id in ids]
    assert {(each["state"], each["attempt"]) for each in shown} == {("queued", 0)}
    await bare_stack.add_consumer().ready()
    rows = await bare_stack.finished(ids)
    assert {(row["state"], row["attempt"], row["crash_count"]) for row in rows.values()} == {
        ("succeeded", 1, 0)
    }
    assert await check_claims(bare_stack) == Counter({"released": 3})


async def test_a_consumer_stopped_under_load_leaves_nothing_claimed(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=1)
    await check_stops_under_load(bare_stack)
    assert await bare_stack.count("select count(*) from jobs where crash_count > 0") == 0


async def test_a_job_that_kills_its_host_is_given_up_and_takes_nobody_with_it(
    bare_stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "own_poison.py").write_text(POISON)
    bare_stack.environment["PYTHONPATH"] = str(tmp_path)
    bare_stack._settings |= {"handlers": "own_poison"}
    await bare_stack.start(consumers=1)
    consumer = bare_stack.consumers[0]
    poison = await submit(bare_stack, {"kind": "own.poison", "input": {}}, 1)
    neighbours = await submit(bare_stack, {"kind": "own.good", "input": {}}, 30)
    rows = await bare_stack.finished(poison + neighbours)
    assert {(rows[each]["state"], rows[each]["crash_count"]) for each in neighbours} == {("succeeded", 0)}
    assert (rows[poison[0]]["state"], rows[poison[0]]["solo_crashes"]) == ("failed", 3)
    async with bare_stack.client() as client:
        shown = (await client.get(f"/v1/jobs/{poison[0]}")).json()
    assert (shown["error"]["type"], shown["error"]["retryable"]) == ("worker-lost", False)
    assert consumer.process is not None
    assert consumer.process.poll() is None, "it died with the host"


async def holder(stack: Stack) -> tuple[Process, int]:
    """Return the consumer that runs the most jobs, and how many."""
    query = """select pid, count(*) as held from jobs join consumers on consumers.id = owner
               where state = 'running' group by pid order by held desc"""
    async with stack.sql() as connection:
        pid, held = (await connection.fetch(query))[0]
    return next(each for each in stack.consumers if each.pid == pid), held
