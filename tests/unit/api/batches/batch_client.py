"""Batches for tests: submit them to the api in memory, and read the answers."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.unit.api.in_memory_api import InMemoryApi

PATH = "/v1/batches"
SUM = {"kind": "demo.sum", "input": {"values": [1, 2]}}
PURE = {"kind": "demo.pure", "input": {"values": [1, 2]}}
WRONG = {"kind": "demo.sum", "input": {"values": ["x"]}}


async def submit(api: InMemoryApi, *items: Any, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post(PATH, json={"jobs": items}, headers=named)


async def submitted(api: InMemoryApi, *items: Any, **headers: str) -> dict[str, Any]:
    """The answer to a batch that is taken."""
    answer = await submit(api, *items, **headers)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def look_up(api: InMemoryApi, batch: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await api.client.get(batch["links"]["self"], **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def some(counts: dict[str, int]) -> dict[str, int]:
    """Those that are not 0."""
    return {name: count for name, count in counts.items() if count}


def jobs_of(batch: dict[str, Any]) -> list[str | None]:
    return [each.get("job", {}).get("id") for each in batch["items"]]


def types_of(batch: dict[str, Any]) -> list[str | None]:
    return [each.get("problem", {}).get("type") for each in batch["items"]]
