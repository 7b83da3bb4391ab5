"""Readings from HTTP to their summary: the client sees the progress, and reads what is wrong with its CSV."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from infra.local import sample_weather as weather
from tests.support.stack import Stack

KIND = "measurements.summary"


async def followed(client: httpx2.AsyncClient, csv: str) -> list[dict[str, Any]]:
    """Submit readings, and return every document that a waiting client sees."""
    document = (await client.post("/v1/jobs", json={"kind": KIND, "input": {"csv": csv}})).json()
    seen = [document]
    async with asyncio.timeout(100):  # heavy work gives way to whatever else the machine does
        while document["state"] not in {"succeeded", "failed"}:
            document = (await client.get(document["links"]["self"], params={"wait": "5"})).json()
            seen.append(document)
    return seen


async def test_the_client_sees_progress_and_then_the_summary(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        seen = await followed(client, weather.readings(0))
    told = [each["progress"] for each in seen if each["state"] == "running" and each["progress"]]
    assert told
    assert all(0 <= progress["percent"] < 100 and progress["note"] for progress in told)
    assert [progress["percent"] for progress in told] == sorted(progress["percent"] for progress in told)
    result = seen[-1]["result"]
    assert (result["rows"], len(result["series"]), result["plot"]["series"]) == (6570, 6, 6)


async def test_the_client_reads_what_is_wrong_with_its_table(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        (*_, ended) = await followed(
            client, "asset,signal,time,value\npump,bar,2024-05-01,1\npump,bar,1.5.24,2\n"
        )
    assert (ended["state"], ended["error"]["type"], ended["attempt"]) == ("failed", "gave-up", 1)
    assert "1 of 2 times cannot be read" in ended["error"]["detail"]
    assert (
        "line 3, column 3 (time), '1.5.24'. Which number is the day is not clear." in ended["error"]["detail"]
    )


async def test_a_table_of_some_megabytes_is_taken(shared_stack: Stack) -> None:
    header, *rows = weather.readings(0).splitlines(keepends=True)
    table = header + "".join(row.replace(",", f" {n},", 1) for n in range(25) for row in rows)
    async with shared_stack.client() as client:
        (*_, ended) = await followed(client, table)
    assert ended["state"] == "succeeded", ended["error"]
    assert ended["result"]["rows"] == 25 * 6570
