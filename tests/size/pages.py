"""`python -m tests.size.pages`: how long each page of the dashboard takes beside ten million finished jobs of one tenant, how large it is, and what ten open tabs cost."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx2

from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from sluice.core.runtime.settings import Settings
from tests.size.record import AT_ONCE, SPREAD_S, postmaster, processor_s
from tests.support.servers import QUICK, running_servers
from tests.support.stack import Stack, stack_on_empty_servers

MOST_MS, MOST_BYTES, MOST_OF_CORE = 50.0, 60_000, 0.02
"""What a page may take in the server and weigh, and what part of one processor ten tabs may cost the api."""
EVERY_S = 5.0
"""As tabs refresh."""
TABS = ("", "", "", "", "/jobs", "/jobs", "/jobs?state=failed", "/consumers", "/system", "{queued}")
PAGES = (
    "", "/jobs", "/jobs?state=succeeded", "/jobs?state=failed", "/jobs?kind=demo.sleep", "/jobs?tag=nobodys", "/jobs?tag=rare",
    "/jobs?since=15m", "/jobs?error=00000000000000ff", "/errors", "/errors?state=resolved", "/kinds", "/kinds/demo.sum", "/lanes", "/consumers",
    "/schedules", "/schedules/new", "/bulk", "/bulk/new", "/webhooks", "/keys", "/audit", "/system", "{done}", "{failed}", "{queued}",
)  # fmt: skip
LINE = "| {:<34} | {:>9} | {:>9} | {:>8} |\n"
INDEXES = """
select indexname as name, indexdef as definition from pg_indexes
where schemaname = current_schema() and tablename = 'jobs' and indexname <> 'jobs_pkey'
"""
FILL = """
insert into jobs (id, tenant, kind, lane, priority, state, version, fence, attempt, max_attempts, keep_s, queued_at, created_at, started_at,
                  finished_at, expires_at, cancel_requested_at, tags, input, result, error, error_fingerprint)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(number::text), 1, 3) || '8' || substr(md5(number::text), 4, 15))::uuid,
       'demo', 'demo.sum', 'default', 'normal', state, 3, 1, 1, 5, 604800, at, at, at, at, at + interval '7 days',
       case when state = 'cancelled' then at end, case when number % 100000 = 7 then 'rare' else 'nightly' end, '{"values":[1,2,3,4,5]}',
       case when state = 'succeeded' then '{"total":15}'::bytea end,
       case when state = 'failed' then convert_to('{"type":"handler-error","title":"TimeoutError","detail":"bank '
            || number / 20 % 2000 || ' did not answer","retryable":true,"attempt":1}', 'utf8') end,
       case when state = 'failed' then lpad(to_hex(number / 20 % 2000), 16, '0') end
from (select number, case when number % 20 = 0 then 'failed' when number % 50 = 1 then 'cancelled' else 'succeeded' end as state,
             now() - interval '6 days' + number * $3::float8 * interval '1 second' as at
      from generate_series($1::int, $2::int) as number) as numbers
"""


class Page(NamedTuple):
    """How long a page took, in milliseconds: the median, and nine of ten; its bytes, and how often it was not shown."""

    path: str
    p50: float
    p90: float
    size: int
    failed: int

    @property
    def is_within(self) -> bool:
        """Whether it keeps to its bounds."""
        return self.p50 <= MOST_MS and self.size <= MOST_BYTES and not self.failed


async def main(stack: Stack, options: argparse.Namespace) -> int:
    """Measure, print a table, and return 1 if anything is beyond its bound."""
    await fill(stack, options.many)
    await stack.start()
    named = await add_some(stack)
    async with httpx2.AsyncClient(base_url=stack.url, timeout=60) as client:
        same = {"sec-fetch-site": "same-origin"}
        await client.post("/ui/login", data={"key": stack.key}, headers=same)
        pages = [await measure(client, path.format_map(named), options.times) for path in PAGES]
        idle = await spend(stack, client, [], options.seconds)
        open_tabs = await spend(stack, client, [path.format_map(named) for path in TABS], options.seconds)
    api, record = (max(0.0, with_tabs - without) for with_tabs, without in zip(open_tabs, idle, strict=True))
    write = sys.stdout.write
    write(f"{options.many:,} finished jobs of one tenant; load {os.getloadavg()[0]:.1f}\n")
    write(LINE.format("page", "p50 ms", "p90 ms", "bytes"))
    for page in pages:
        mark = "" if page.is_within else f"  beyond its bound ({page.failed} failed)"
        write(
            LINE.format(page.path or "/", f"{page.p50:.1f}", f"{page.p90:.1f}", page.size).rstrip()
            + f"{mark}\n"
        )
    write(f"ten tabs: {api:.1%} of one processor in the api, {record:.1%} in PostgreSQL\n")
    return int(api > MOST_OF_CORE or not all(page.is_within for page in pages))


async def fill(stack: Stack, finished: int) -> None:
    """Put so many finished jobs of one tenant into the record, a twentieth of them failed. Indexes are made at the end, which is quicker."""
    async with stack.sql() as sql:
        indexes = await sql.fetch(INDEXES)
        for index in indexes:
            await sql.execute(f"drop index {index['name']}")
        await sql.execute("set synchronous_commit = off; set maintenance_work_mem = '512MB'")
        for first in range(1, finished + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, finished)
            await sql.execute(FILL, first, last, SPREAD_S / finished, timeout=900)
            sys.stderr.write(f"\r{last:,} finished jobs")
        sys.stderr.write("\nindexes\n")
        for index in indexes:
            await sql.execute(index["definition"], timeout=3_600)
        await sql.execute("vacuum analyze jobs", timeout=3_600)


async def add_some(stack: Stack) -> dict[str, str]:
    """Add a backlog in a paused lane; return the pages of a job that is done, of one that failed and of one that waits."""
    async with stack.client() as client:
        paused = await client.post("/v1/lanes/heavy/pause", json={"reason": "while pages are measured"})
        paused.raise_for_status()
        spin = {"kind": "demo.spin", "input": {"seconds": 1}}
        for _ in range(10):
            many = await client.post("/v1/batches", json={"jobs": [spin] * 500})
            many.raise_for_status()
        ids = {}
        for name, state in (("done", "succeeded"), ("failed", "failed"), ("queued", "queued")):
            (job,) = (await client.get(f"/v1/jobs?state={state}&page_size=1")).json()["jobs"]
            ids[name] = f"/jobs/{job['id']}"
    return ids


async def measure(client: httpx2.AsyncClient, path: str, times: int) -> Page:
    """Open a page so many times, once more before that for what is made once."""
    took, statuses = list[float](), list[int]()
    for _ in range(times + 1):
        began = time.perf_counter()
        answer = await client.get(f"/ui{path}")
        took.append((time.perf_counter() - began) * 1_000)
        statuses.append(answer.status_code)
    kept = sorted(took[1:])
    return Page(
        path,
        median(kept),
        kept[len(kept) * 9 // 10],
        len(answer.content),
        sum(status != 200 for status in statuses),
    )


async def spend(
    stack: Stack, client: httpx2.AsyncClient, tabs: Sequence[str], seconds: float
) -> tuple[float, float]:
    """Keep these tabs open for so long, and return what part of one processor the api and PostgreSQL used meanwhile."""
    pids = stack.apis[0].pid, postmaster(stack.servers)
    before, began = [processor_s(pid) for pid in pids], time.perf_counter()

    async def keep_open(tab: str, number: int) -> None:
        await asyncio.sleep(EVERY_S * number / len(tabs))
        while time.perf_counter() < began + seconds:
            await client.get(f"/ui{tab}")
            await asyncio.sleep(EVERY_S)

    await asyncio.gather(asyncio.sleep(seconds), *(keep_open(tab, number) for number, tab in enumerate(tabs)))
    took = time.perf_counter() - began
    api, record = ((processor_s(pid) - earlier) / took for pid, earlier in zip(pids, before, strict=True))
    return api, record


def run(servers: Servers, options: argparse.Namespace) -> int:
    """Measure on these servers, empty so far."""
    directory = temporary_directory("sluice-pages-")
    usual = {name: Settings.model_fields[name].default for name in QUICK}
    settings = usual | {"ui": True, "verify_s": 3_600}
    try:
        with stack_on_empty_servers(servers, Path(directory), **settings) as stack:
            return asyncio.run(main(stack, options))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make pages-at-size ARGS=…", description=__doc__)
    parser.add_argument("--many", type=int, default=10_000_000, help="finished jobs (%(default)s)")
    parser.add_argument("--times", type=int, default=20, help="how often each page is opened (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="for how long tabs are open (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    asked = _options()
    with running_servers() as own:
        sys.exit(run(own, asked))
