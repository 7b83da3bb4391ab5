"""One run: start the product, mix hostile work with innocent work, wait for the end, compare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg

from infra.local.servers import Servers
from tests.fault.hostile import processes
from tests.fault.hostile.case import Case
from tests.fault.hostile.stray import RUN
from tests.fault.hostile.traffic import MIX, Traffic
from tests.fault.hostile.verdict import (
    LOST,
    Seen,
    Wrong,
    judge_hostile,
    judge_innocent,
    judge_what_is_shared,
    seen,
)
from tests.support.servers import urls
from tests.support.stack import COMMAND, Stack
from tests.support.waiting import answers

SETTINGS: dict[str, object] = {
    "handlers": "tests.fault.hostile.innocent,tests.fault.hostile.corpus",
    "lanes": '{"default":{"slots":64,"ids_per_message":16},"heavy":{"slots":3,"ids_per_message":1}}',
    "processes": 3,
    "process_memory_mib": 400,
    "host_memory_mib": 400,
    "host_jobs": 500,
    "blocked_s": 5,
    "grace_s": 1,
    "lease_s": 6,
    "beat_s": 1,
    "stop_s": 5,
}
REST_S = 60.0
"""Seconds that innocent jobs have once the last hostile one has ended."""

TIDY_S = 10.0
"""Seconds in which what a job has left must be found and ended."""

ROWS = "select id::text, state, attempt, fence, error, result from jobs where id = any($1::uuid[])"


class Plan(NamedTuple):
    """What a run consists of."""

    cases: Sequence[Case]
    innocents: int
    seed: int = 1
    pace_s: float = 0.3
    within_s: float = 300.0
    consumers: int = 2


class Verdict(NamedTuple):
    """How many jobs there were of each sort, how long it took, and what was wrong."""

    hostile: int
    innocent: int
    seconds: float
    wrong: list[Wrong]


async def run(stack: Stack, plan: Plan) -> Verdict:
    """Run it on this stack, which must not have been started."""
    mark = prepare(stack)
    try:
        return await run_marked(stack, plan, mark)
    finally:
        await asyncio.to_thread(stack.stop)
        processes.end_all(mark)


async def run_marked(stack: Stack, plan: Plan, mark: str) -> Verdict:
    """Start everything, let the jobs come to their ends, and compare."""
    await stack.start(consumers=plan.consumers)
    began, pids = monotonic(), [each.pid for each in stack.consumers]
    normal = await look_around(stack)
    traffic = Traffic(stack, plan.cases, plan.innocents, Random(plan.seed))
    await traffic.run(plan.pace_s, plan.within_s)
    rows = await ended(stack, [*traffic.hostile, *traffic.innocent])
    wrong = [*judge(traffic, rows, normal)]
    wrong += await judge_consumers(stack, pids)
    wrong += await judge_leftovers(mark, pids)
    wrong += await judge_record(stack)
    wrong += await judge_stop(stack, mark)
    return Verdict(len(traffic.hostile), len(traffic.innocent), monotonic() - began, wrong)


def prepare(stack: Stack) -> str:
    """Set the stack up for hostile work; return the mark that its processes carry."""
    mark, temporary = uuid4().hex, stack._directory / "tmp"
    temporary.mkdir()
    stack._settings |= SETTINGS
    stack.environment |= {RUN: mark, "TMPDIR": str(temporary)}
    return mark


async def look_around(stack: Stack) -> dict[str, Any]:
    """Return what a process kind sees before anybody did anything."""
    async with stack.client() as client:
        for kind in MIX:
            answer = await client.post(
                "/v1/jobs", json={"kind": kind, "input": {"number": 0}}, headers={"Prefer": "wait=30"}
            )
            assert answer.json()["state"] == "succeeded", answer.text
    return dict(answer.json()["result"]["surroundings"])


async def ended(stack: Stack, ids: list[str]) -> dict[str, Seen]:
    """Return how these jobs ended; those that have not when the time is up are as they are."""
    until = monotonic() + REST_S
    async with stack.sql() as record:
        while True:
            rows: list[asyncpg.Record] = await record.fetch(ROWS, ids)
            found = {row["id"]: seen(dict(row)) for row in rows}
            left = [each for each in found.values() if each.state in ("queued", "running", "scheduled")]
            if not left or monotonic() > until:
                return found
            await asyncio.sleep(0.2)


def judge(traffic: Traffic, rows: dict[str, Seen], normal: dict[str, Any]) -> Iterator[Wrong]:
    """Compare every job with what it should have come to."""
    for job_id, case in traffic.hostile.items():
        yield from judge_hostile(case, rows.get(job_id, LOST))
    for job_id, innocent in traffic.innocent.items():
        yield from judge_innocent(innocent, rows.get(job_id, LOST), normal)
    yield from judge_what_is_shared([each.result for each in rows.values()])


async def judge_consumers(stack: Stack, pids: list[int]) -> list[Wrong]:
    """Check that each consumer is the same process as before, and ready."""
    async with stack.client() as client:
        return [
            Wrong(f"consumer {number}", "alive and ready", f"exit status {status}")
            for number, (each, pid) in enumerate(zip(stack.consumers, pids, strict=True))
            if (status := each.process.poll() if each.process else "none") is not None
            or each.pid != pid
            or not await answers(client, f"{each.private_url}/readyz", 200)
        ]


async def judge_leftovers(mark: str, pids: list[int]) -> list[Wrong]:
    """Check that what process kinds left behind is gone, and that nobody is dead and not buried."""
    left = await none_left(lambda: [*processes.left_by_processes(mark), *processes.zombies(pids)], TIDY_S)
    return [
        Wrong("left behind", "ended", f"{each.state} {each.title[:100]} of {each.parent}") for each in left
    ]


async def judge_record(stack: Stack) -> list[Wrong]:
    """Ask the record whether every invariant holds."""
    child = await asyncio.create_subprocess_exec(
        COMMAND, "verify", "--json", env=urls(stack.servers), stdout=-1, stderr=-1
    )
    out, err = await child.communicate()
    if child.returncode not in (0, 1):
        return [Wrong("sluice verify", "exit status 0", err.decode()[-300:])]
    return [
        Wrong(each["check"], "0", f"{each['count']}: {each['samples']}"[:300])
        for each in json.loads(out)
        if each["count"]
    ]


async def judge_stop(stack: Stack, mark: str) -> list[Wrong]:
    """Stop everything, and check that nothing at all is left."""
    statuses = await asyncio.gather(*(asyncio.to_thread(each.stop) for each in stack.consumers))
    wrong = [Wrong("stop", "exit status 0", str(status)) for status in statuses if status]
    await asyncio.gather(*(asyncio.to_thread(each.stop) for each in stack.apis))
    left = await none_left(lambda: processes.belonging_to(mark), TIDY_S)
    return wrong + [Wrong("left after the stop", "nothing", each.title[:160]) for each in left]


async def none_left(look: Callable[[], list[processes.Found]], within_s: float) -> list[processes.Found]:
    """Return what is still found after so many seconds; return at once when nothing is."""
    until = monotonic() + within_s
    while (left := look()) and monotonic() < until:  # noqa: ASYNC110  no event tells of it
        await asyncio.sleep(0.1)
    return left


def start_on(servers: Servers, directory: Any, plan: Plan) -> Verdict:
    """Run it on these servers."""
    with Stack(servers, directory) as stack:
        return asyncio.run(run(stack, plan))
