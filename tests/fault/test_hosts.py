"""A consumer that ends, because it must or because it should, leaves no job behind in its hosts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

from sluice.host.processes import descendants_of
from tests.fault.claims import check_claims
from tests.fault.jobs import submit, until_running
from tests.support.processes import lives
from tests.support.stack import Stack
from tests.support.waiting import until

OWN = """
import asyncio, time
from pydantic import BaseModel
from sluice import handler

class Ask(BaseModel):
    seconds: float = 0

@handler("own.nap")
async def nap(ask: Ask) -> Ask:
    await asyncio.sleep(ask.seconds)
    return ask

@handler("own.deaf")
async def deaf(ask: Ask) -> Ask:
    until = time.monotonic() + ask.seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(ask.seconds)
        except asyncio.CancelledError:
            pass
    return ask

@handler("own.block")
async def block(ask: Ask) -> Ask:
    time.sleep(ask.seconds)
    return ask

@handler("own.thread")
def in_thread(ask: Ask) -> Ask:
    time.sleep(ask.seconds)
    return ask

@handler("own.process", runs_in="process")
def in_process(ask: Ask) -> Ask:
    time.sleep(ask.seconds)
    return ask
"""


async def test_a_consumer_whose_hosts_cannot_be_started_any_more_gives_its_jobs_back_and_ends(
    bare_stack: Stack, tmp_path: Path
) -> None:
    await start(bare_stack, tmp_path)
    consumer = bare_stack.consumers[0]
    (tmp_path / "own_work.py").write_text("raise LookupError('broken meanwhile')")
    kill_hosts(consumer.pid)
    ids = await submit(bare_stack, {"kind": "own.nap", "input": {}}, 3)
    assert consumer.process is not None
    assert await asyncio.to_thread(consumer.process.wait, 60) == 2
    said = consumer.log.read_text().splitlines()[-1]
    assert said.startswith("sluice: SLUICE_HANDLERS: own_work does not load: LookupError: broken meanwhile")
    (tmp_path / "own_work.py").write_text(OWN)
    await bare_stack.add_consumer().ready()
    rows = await bare_stack.finished(ids)
    assert {(row["state"], row["attempt"], row["crash_count"]) for row in rows.values()} == {
        ("succeeded", 1, 0)
    }
    assert (await check_claims(bare_stack)).keys() <= {"released"}


async def test_a_consumer_that_is_stopped_gives_back_whatever_its_hosts_do_and_ends_them(
    bare_stack: Stack, tmp_path: Path
) -> None:
    bare_stack._settings |= {"stop_s": 0.2, "grace_s": 1, "lease_s": 60}
    await start(bare_stack, tmp_path)
    consumer = bare_stack.consumers[0]
    for kind in ("own.nap", "own.deaf", "own.thread", "own.process", "own.block"):
        await submit(bare_stack, {"kind": kind, "input": {"seconds": 600}}, 1)
    await until_running(bare_stack, 5)
    await until(lambda: len(descendants_of(consumer.pid)) >= 2)
    hosts = descendants_of(consumer.pid)
    assert await asyncio.wait_for(asyncio.to_thread(consumer.stop), 30) == 0
    async with bare_stack.sql() as connection:
        rows = await connection.fetch("select state, attempt, crash_count from jobs")
    assert Counter(map(tuple, rows)) == {("queued", 0, 0): 5}
    assert await check_outcomes(bare_stack) == {"released": 5}
    await until(lambda: not any(map(lives, hosts)))


async def start(stack: Stack, folder: Path) -> None:
    """Start an api and a consumer with these kinds."""
    (folder / "own_work.py").write_text(OWN)
    stack.environment["PYTHONPATH"] = str(folder)
    stack._settings |= {"handlers": "own_work"}
    await stack.start(consumers=1)


def kill_hosts(consumer: int) -> None:
    """Kill every host of a consumer."""
    for pid in descendants_of(consumer):
        os.kill(pid, signal.SIGKILL)


async def check_outcomes(stack: Stack) -> Counter[str]:
    """How attempts have ended, by the record."""
    async with stack.sql() as connection:
        rows = await connection.fetch("select outcome from attempts")
    return Counter(row["outcome"] for row in rows)
