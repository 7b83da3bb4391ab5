"""Commits that would begin too late: what is new is refused at once, and what needs no new job is answered as ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api.jobs.crowd import AT_ONCE
from sluice.core.job import Accepted, NewJob
from tests.unit.api.in_memory_api import SHED_S, InMemoryApi

PURE: dict[str, Any] = {"kind": "demo.pure", "input": {"values": [1, 2]}}
OTHER: dict[str, Any] = PURE | {"input": {"values": [3]}}
SUM: dict[str, Any] = {"kind": "demo.sum", "input": {"values": [1]}}
KEY = {"idempotency-key": "k"}


@asynccontextmanager
async def slow_commit(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch, waits_s: float
) -> AsyncIterator[None]:
    """Hold a commit for the block, behind which another would wait for so long."""
    accept, begun, go_on = api.record.accept, asyncio.Event(), asyncio.Event()

    async def slow(jobs: list[NewJob], *, whole: bool = False) -> Accepted:
        begun.set()
        await go_on.wait()
        return await accept(jobs, whole=whole)

    monkeypatch.setattr(api.record, "accept", slow)
    first = asyncio.create_task(api.submit())
    await begun.wait()
    small = api.state.submission._inserts._small
    with monkeypatch.context() as patched:
        patched.setattr(small, "expected_wait_s", lambda: waits_s)
        yield
    go_on.set()
    assert (await first).status_code == 202
    monkeypatch.setattr(api.record, "accept", accept)


def refusal(answer: Any) -> tuple[int, str, str]:
    """Return what a refusal says."""
    return answer.status_code, answer.json()["type"], answer.headers["retry-after"]


async def test_a_new_job_is_refused_and_what_needs_none_is_not(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = (await api.client.post("/v1/jobs", json=SUM, headers=KEY)).json()
    under_way = (await api.client.post("/v1/jobs", json=OTHER)).json()
    done = (await api.client.post("/v1/jobs", json=PURE)).json()
    api.record.finish(done["id"])
    async with slow_commit(api, monkeypatch, 1.01 * SHED_S):
        for body in (SUM, PURE | {"input": {"values": [9]}}):
            answer = await api.client.post("/v1/jobs", json=body)
            assert refusal(answer) == (503, "overloaded", "30")
            assert answer.json()["retryable"]
        bare = await api.client.post("/v1/kinds/demo.sum/jobs", json={"values": [1]})
        assert refusal(bare) == (503, "overloaded", "30")
        cached = await api.client.post("/v1/jobs", json=PURE)
        assert (cached.status_code, cached.json()["id"]) == (200, done["id"])
        joined = (await api.client.post("/v1/jobs", json=OTHER)).json()
        assert (joined["id"], joined["coalesced"]) == (under_way["id"], True)
        again = await api.client.post("/v1/jobs", json=SUM, headers=KEY)
        assert (again.json()["id"], again.headers["idempotent-replayed"]) == (keyed["id"], "true")
        assert (await api.client.get(done["links"]["self"])).status_code == 200
    assert len(api.record.jobs) == 4
    assert (await api.submit()).status_code == 202


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "k", "content-type": "application/json"}])
async def test_what_comes_at_once_with_many_others_is_refused_unread(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    done = (await api.client.post("/v1/jobs", json=PURE)).json()
    api.record.finish(done["id"])
    await api.client.post("/v1/jobs", json=PURE, headers=headers)

    async def statuses() -> Counter[int]:
        submits = (api.client.post("/v1/jobs", json=PURE, headers=headers) for _ in range(AT_ONCE + 8))
        return Counter(answer.status_code for answer in await asyncio.gather(*submits))

    async with slow_commit(api, monkeypatch, 1.01 * SHED_S):
        for _ in range(2):  # the next turn begins anew
            assert await statuses() == {200: AT_ONCE, 503: 8}
        bare = [api.client.post("/v1/kinds/demo.pure/jobs?wait=1", json=PURE["input"]) for _ in range(40)]
        assert Counter(each.status_code for each in await asyncio.gather(*bare)) == {200: AT_ONCE, 503: 8}
        looked_up = (api.client.get(done["links"]["self"]) for _ in range(40))
        assert {each.status_code for each in await asyncio.gather(*looked_up)} == {200}
    assert await statuses() == {200: AT_ONCE + 8}


async def test_batches_are_refused_first_and_unread(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    async def lines() -> AsyncIterator[bytes]:
        read.append(1)
        yield b'{"kind":"demo.sum","input":{"values":[1]}}\n'

    found = (await api.client.post("/v1/jobs", json=OTHER)).json()["id"]
    async with slow_commit(api, monkeypatch, 0.6 * SHED_S):
        whole = {"jobs": [SUM], "atomic": True}
        for body in ({"jobs": [SUM]}, whole):
            assert refusal(await api.client.post("/v1/batches", json=body)) == (503, "overloaded", "30")
        streamed = await api.client.post(
            "/v1/batches", content=lines(), headers={"content-type": "application/x-ndjson"}
        )
        assert refusal(streamed) == (503, "overloaded", "30")
        assert not api.record.batches.batches
        # One with a key may have been accepted before: its items are looked at.
        keyed = await api.client.post("/v1/batches", json={"jobs": [OTHER, SUM]}, headers=KEY)
        first, second = keyed.json()["items"]
        assert (first["job"]["id"], second["problem"]["type"]) == (found, "overloaded")
        refused = await api.client.post("/v1/batches", json=whole, headers={"idempotency-key": "w"})
        assert refusal(refused) == (503, "overloaded", "30")
        single = asyncio.create_task(api.submit())
        await asyncio.sleep(0)
    assert (await single).status_code == 202, "single jobs still are taken"
