"""Work that kills, blocks, fills the memory or lies ends with its reason, and the work beside it does not notice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import orjson
import pytest

from tests.support.stack import Stack

LANES = '{"default":{"slots":32,"ids_per_message":8},"heavy":{"slots":2,"ids_per_message":1}}'
SETTINGS: dict[str, object] = {
    "handlers": "tests.fault.poison_kinds",
    "lanes": LANES,
    "processes": 2,
    "process_memory_mib": 256,
    "lease_s": 2,
    "blocked_s": 8,
}
GOOD = {"good.loop": 700, "good.hasty": 200, "good.thread": 80, "good.process": 20}

RAISED = {
    "exit": "SystemExit 3",
    "interrupt": "KeyboardInterrupt stop it",
    "generator": "GeneratorExit odd",
    "unpicklable": "Unpicklable not for others",
    "mute": r"Mute .*could not be read: LookupError",
    "leaving": r"Leaving .*could not be read: SystemExit",
}
RETURNED = {
    "large": "10000022 bytes; at most 1048576",
    "nan": "holds NaN",
    "nul": r"holds U\+0000",
    "set": "returned set and not Reply",
    "ring": "Circular reference",
    "wrong": "/number: ",
}
DIES = {"abort": "SIGABRT", "kill": "SIGKILL .perhaps out of memory", "leave": "exit status 0"}

BAD = [
    *(
        (kind, how, word, reason)
        for kind in ("bad.loop", "bad.thread", "bad.process")
        for word, ways in (("handler-error", RAISED), ("bad-output", RETURNED))
        for how, reason in ways.items()
    ),
    *(("bad.process", how, "worker-lost", reason) for how, reason in DIES.items()),
    ("bad.loop", "abort", "worker-lost", "SIGABRT"),
    ("bad.loop", "kill", "worker-lost", "SIGKILL"),
    ("bad.stuck", "spin", "timed-out", "time limit of 1 s"),
    ("bad.cancel", "", "handler-error", "CancelledError"),
    ("bad.thread", "sleep", "timed-out", "time limit of 1 s"),
    ("bad.spin", "spin", "timed-out", r"time limit of 0\.5 s"),
    ("bad.process", "hungry", "out-of-memory", "more memory than the 256 MiB"),
]
"""Kind, what it does, the type of the error, and words of its title and detail."""


@pytest.mark.timeout(120)
async def test_everything_at_once_fails_with_its_reason_beside_a_thousand_jobs_that_do_not_notice(
    bare_stack: Stack,
) -> None:
    bare_stack._settings |= SETTINGS
    await bare_stack.start(consumers=2)
    rng = Random(11)
    bad = [{"kind": kind, "input": {"how": how}} for kind, how, *_ in BAD]
    naps = [{"kind": "bad.loop", "input": {"seconds": 3}}] * 2  # longer than a lease
    good = [
        {"kind": kind, "input": {"number": number, "seconds": rng.uniform(0, 0.1)}}
        for kind, count in GOOD.items()
        for number in range(count)
    ]
    order = list(range(len(bad + naps + good)))
    rng.shuffle(order)
    async with supervised(bare_stack) as deaths:
        ids = await submit_in_order(bare_stack, bad + naps + good, order)
        rows = await bare_stack.finished(ids, within_s=90)
    found = [rows[each] for each in ids]
    wrong = [
        (case, summary(row)) for case, row in zip(BAD, found, strict=False) if not as_expected(case, row)
    ]
    assert wrong == []
    assert [(row["state"], row["fence"]) for row in found[len(bad) : len(bad + naps)]] == [
        ("succeeded", 1)
    ] * 2
    harmed = [
        (dict(work), summary(row))
        for work, row in zip(good, found[len(bad + naps) :], strict=True)
        if (row["state"], row["attempt"]) != ("succeeded", 1)
        or orjson.loads(row["result"])["number"] != work["input"]["number"]  # type: ignore[index]  # these have a result
    ]
    assert harmed == []
    assert deaths == [], "no handler ends a consumer"
    await still_serves(bare_stack)


def as_expected(case: tuple[str, str, str, str], row: Any) -> bool:
    """Tell whether a job failed as it should, after at most two errors or three deaths alone."""
    kind, _, word, reason = case
    if row["state"] != "failed" or (row["solo_crashes"] == 3) != (word == "worker-lost"):
        return False
    error = orjson.loads(row["error"])
    final = word in ("handler-error", "timed-out") and kind != "bad.stuck"
    return (
        error["type"] == word
        and re.search(reason, f"{error['title']} {error['detail']}") is not None
        and error["attempt"] == (2 if final else 1)
    )


def summary(row: Any) -> tuple[Any, ...]:
    """Return what a person would look at first."""
    return row["state"], row["attempt"], row["fence"], row["crash_count"], row["solo_crashes"], row["error"]


async def still_serves(stack: Stack) -> None:
    """Check that both lanes still take work."""
    async with stack.client() as client:
        for kind in GOOD:
            answer = await client.post(
                "/v1/jobs", json={"kind": kind, "input": {}}, headers={"Prefer": "wait=20"}
            )
            assert answer.json()["state"] == "succeeded", answer.text
    async with stack.sql() as connection:
        assert await connection.fetchval("select count(*) from jobs where state = 'running'") == 0


async def submit_in_order(stack: Stack, works: list[dict[str, Any]], order: list[int]) -> list[str]:
    """Submit in this order; return the ids in the order of the works."""
    ids = [""] * len(works)
    turn = iter(order)

    async def submit_for_a_while() -> None:
        async with stack.client() as client:
            for number in turn:
                answer = await client.post("/v1/jobs", json=works[number])
                assert answer.status_code == 202, answer.text
                ids[number] = answer.json()["id"]

    await asyncio.gather(*(submit_for_a_while() for _ in range(8)))
    return ids


@asynccontextmanager
async def supervised(stack: Stack) -> AsyncIterator[list[int]]:
    """Restart consumers that die, as any supervisor does; yield how they died."""
    deaths: list[int] = []

    async def supervise() -> None:
        while True:
            for each in stack.consumers:
                status = each.process.poll() if each.process else None
                if status is not None:
                    deaths.append(status)
                    each.start()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(supervise())
    try:
        yield deaths
    finally:
        task.cancel()
        await asyncio.wait([task])
