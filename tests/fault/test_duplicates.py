"""Hints that come five times, for finished jobs, or for jobs that never existed: every job runs once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from uuid import uuid4

import aiormq

from sluice.core.envelope import encode
from sluice.core.lanes import queue_name
from tests.fault.claims import check_claims
from tests.fault.jobs import submit
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

QUEUE = queue_name("default", "normal")
JOBS = 60


async def test_hints_in_any_number_and_order_run_every_job_once(bare_stack: Stack, tmp_path: Path) -> None:
    mark = tmp_path / "runs"
    bare_stack._settings |= {"handlers": "tests.integration.kinds", "dispatch_due_s": 600}
    await bare_stack.start(consumers=0)
    ids, void = await submit_some(bare_stack, mark)
    rng = Random(4)
    everything = [*ids, *void, *(str(uuid4()) for _ in range(5))]
    hints = [each for each in everything for _ in range(rng.randint(1, 5))]
    rng.shuffle(hints)
    await publish(bare_stack, [hints[start : start + 3] for start in range(0, len(hints), 3)])
    consumers = [bare_stack.add_consumer() for _ in range(2)]
    rows = await bare_stack.finished(ids)
    await publish(bare_stack, [ids])  # and once more, now that all are finished
    for each in consumers:
        await each.ready()

    await until_found(lambda: all_came(bare_stack, consumers, len(hints + ids)))
    assert len(mark.read_text().splitlines()) == JOBS, "a job ran twice"
    assert {(row["state"], row["fence"], row["attempt"]) for row in rows.values()} == {("succeeded", 1, 1)}
    figures = await add_metrics(consumers)
    assert (figures["sluice_jobs_claimed_total"], figures["sluice_jobs_succeeded_total"]) == (JOBS, JOBS)
    assert figures["sluice_stale_outcomes_total"] == 0
    assert figures["sluice_ids_void_total"] >= JOBS
    assert not await check_claims(bare_stack)


async def submit_some(stack: Stack, mark: Path) -> tuple[list[str], list[str]]:
    """Submit jobs that leave a mark, and some that are cancelled before anybody claims them."""
    work = {"kind": "own.loop", "input": {"mark": str(mark)}}
    ids, void = await submit(stack, work, JOBS), await submit(stack, work, 5)
    async with stack.client() as client:
        for each in void:
            assert (await client.post(f"/v1/jobs/{each}/cancel")).json()["state"] == "cancelled"
    return ids, void


async def publish(stack: Stack, messages: list[list[str]]) -> None:
    """Send hints as the api would."""
    connection = await aiormq.connect(stack.servers.rabbitmq.url)
    try:
        channel = await connection.channel()
        for ids in messages:
            await channel.basic_publish(encode(ids), routing_key=QUEUE)
    finally:
        await connection.close()


async def all_came(stack: Stack, consumers: list[Process], least: int) -> bool:
    """Tell whether the consumers have all hints: these, and what the api has sent, late or twice on a busy machine."""
    connection = await aiormq.connect(stack.servers.rabbitmq.url)
    try:
        queue = await (await connection.channel()).queue_declare(QUEUE, passive=True)
    finally:
        await connection.close()
    return not queue.message_count and (await add_metrics(consumers))["sluice_ids_delivered_total"] >= least


async def add_metrics(consumers: list[Process]) -> Counter[str]:
    """Add up the metrics of these consumers."""
    found: Counter[str] = Counter()
    for each in consumers:
        counts = (await each.metrics()).items()
        found.update({name: int(value) for name, value in counts if name.endswith("_total")})
    return found
