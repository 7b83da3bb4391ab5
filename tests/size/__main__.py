"""`python -m tests.size`: what a job costs PostgreSQL with few and with many finished ones, and how fast a backlog drains."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import orjson

from infra.local.servers import Servers
from sluice.core.job import Job
from sluice.core.lifecycle import succeeded
from tests.size.record import Sized, sized_record
from tests.support.make_jobs import new_job
from tests.support.servers import running_servers

KINDS = {"demo.sum": 1}
INPUT = orjson.dumps({"values": [1, 2, 3, 4, 5], "note": "x" * 24})
BATCH = 64
ROUNDS = 5
MOST_TIMES = 1.15
"""What a job may cost beside many finished ones, as a multiple of what it costs beside few."""
LINE = "| {:<72} | {:>10} | {:>10} |\n"


class Cost(NamedTuple):
    """Microseconds of processor and bytes of WAL a job, and jobs a second."""

    cpu_us: float
    wal: float
    per_s: float


async def main(servers: Servers, options: argparse.Namespace) -> None:
    """Measure, and print a table."""
    async with sized_record(servers, "few") as small, sized_record(servers, "many") as record:
        await small.fill(options.few)
        await record.fill(options.many)
        few, many, times = await compare(small, record, options.jobs)
        hot = await hot_share(record)
        looks = await look_buffers(record)
        rates = await drain(record, options.backlog)
    machine = f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    rows = [
        (f"{machine}; batches of {BATCH}, inputs of {len(INPUT)} B", f"{options.few:,}", f"{options.many:,}"),
        ("PostgreSQL: microseconds of processor a job", *_figures(few.cpu_us, many.cpu_us)),
        (f"the same beside many, times that beside few (at most {MOST_TIMES})", "", f"{times:.2f}"),
        ("PostgreSQL: bytes of WAL a job", *_figures(few.wal, many.wal)),
        ("jobs/s, one caller", *_figures(few.per_s, many.per_s)),
        ("updates that stay in their page, of claims and endings", "", f"{hot:.0%}"),
        *((f"buffers of {name}", "", str(buffers)) for name, buffers in looks.items()),
        (f"drain of {options.backlog:,}: jobs/s at its beginning, at its end", *_figures(*rates)),
    ]
    sys.stdout.write("".join(LINE.format(*row) for row in rows))


async def compare(small: Sized, large: Sized, jobs: int) -> tuple[Cost, Cost, float]:
    """Measure both in turns; the median of each, and of the ratio of their processor times."""
    pairs = []
    for number in range(ROUNDS):
        turn = (small, large) if number % 2 else (large, small)
        found = {record: await measure(record, jobs // ROUNDS) for record in turn}
        pairs.append((found[small], found[large]))
    few, many = (Cost(*map(median, zip(*side, strict=True))) for side in zip(*pairs, strict=True))
    return few, many, median(many.cpu_us / few.cpu_us for few, many in pairs)


async def measure(record: Sized, jobs: int) -> Cost:
    """Run so many jobs from accept to settle."""
    for _ in range(8):
        await run_batch(record)
    before, began = await record.used(), time.perf_counter()
    batches = jobs // BATCH
    for _ in range(batches):
        await run_batch(record)
    await asyncio.sleep(1.0)  # the processes that write behind have their turn
    used, count = await record.used() - before, batches * BATCH
    return Cost(used.cpu_s / count * 1e6, used.wal / count, count / (time.perf_counter() - began - 1.0))


async def run_batch(record: Sized) -> None:
    """Accept, dispatch, claim and settle one batch."""
    accepted = await record.store.accept([new_job(input=INPUT) for _ in range(BATCH)])
    await record.store.dispatched([message.outbox_id for message in accepted.messages])
    await finish(record, [*accepted.ids])


async def finish(record: Sized, ids: Sequence[str]) -> None:
    """Claim and settle these."""
    jobs: list[Job] = await record.store.claim(ids, KINDS)
    await record.store.settle([succeeded(job, b'{"total":15}') for job in jobs])


async def hot_share(record: Sized) -> float:
    """Return the part of all updates of jobs that changed no index."""
    await asyncio.sleep(1.5)  # for the statistics of idle connections
    row = await record.sql.fetchrow(
        "select n_tup_hot_upd, n_tup_upd from pg_stat_user_tables where relname = 'jobs'"
    )
    return float(row["n_tup_hot_upd"] / max(1, row["n_tup_upd"])) if row else 0.0


async def look_buffers(record: Sized) -> dict[str, int]:
    """Count the pages that looks for work read, while 20,000 jobs wait properly."""
    for _ in range(20_000 // 500):
        await record.store.accept([new_job(input=INPUT) for _ in range(500)])
    newest = await record.sql.fetchval("select max(queued_at) from jobs")
    lost = (["default", "heavy"], ["normal", "normal"], [newest, None], 5_000)
    for _ in range(2):  # the first visits what is dead, and marks it
        looks = {
            "a look for lost messages in two queues": await _buffers(record, "offer_lost", *lost),
            "a keeper's look": await _buffers(record, "look", ["find-lost"], [1.0], 3_600.0),
        }
    return looks


async def _buffers(record: Sized, query: str, *values: Any) -> int:
    text = f"explain (analyze, buffers, format json) {record.database._queries[query]}"
    (plan,) = orjson.loads(await record.sql.fetchval(text, *values))
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


async def drain(record: Sized, backlog: int) -> tuple[float, float]:
    """Finish a backlog that came while the statistics were those of an empty queue; jobs/s of the first and of the last tenth."""
    await record.sql.execute(
        "delete from jobs where finished_at is null; delete from outbox; analyze jobs", timeout=600
    )
    ids: list[str] = []
    while len(ids) < backlog:
        ids += (await record.store.accept([new_job(input=INPUT) for _ in range(500)])).ids
    tenth = backlog // 10
    first = await _timed(record, ids[:tenth])
    for part in _parts(ids[tenth:-tenth]):
        await finish(record, part)
    return first, await _timed(record, ids[-tenth:])


async def _timed(record: Sized, ids: Sequence[str]) -> float:
    began = time.perf_counter()
    for part in _parts(ids):
        await finish(record, part)
    return len(ids) / (time.perf_counter() - began)


def _figures(*values: float) -> list[str]:
    return [f"{value:,.0f}" for value in values]


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + BATCH] for at in range(0, len(ids), BATCH))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make at-size ARGS=…", description=__doc__)
    parser.add_argument(
        "--few", type=int, default=10_000, help="finished jobs in the small record (%(default)s)"
    )
    parser.add_argument(
        "--many", type=int, default=10_000_000, help="finished jobs in the large one (%(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs of each measurement (%(default)s)")
    parser.add_argument("--backlog", type=int, default=120_000, help="jobs that drain (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    asked = _options()
    with running_servers() as own:
        asyncio.run(main(own, asked))
