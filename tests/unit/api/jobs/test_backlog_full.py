"""A tenant, or all of them, with as many jobs waiting as may: nothing new is taken, and what needs no new job is answered as ever."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.backlog_cap import MIB, BacklogLimits
from sluice.core.queue_stats import write_statistics
from tests.unit.api.in_memory_api import InMemoryApi
from tests.unit.core.test_estimates import lane

FULL = 100_000
PURE: dict[str, Any] = {"kind": "demo.pure", "input": {"values": [1, 2]}}
KEY = {"idempotency-key": "k"}


async def count(api: InMemoryApi, **tenants: int) -> None:
    """Have somebody count so many waiting jobs of each tenant."""
    found = lane(tenants=tenants, queued=sum(tenants.values()), per_second=5_000.0)
    await api.cache.post_statistics(write_statistics({"default": found}), 60)
    assert await api.state.counts.read_board()


async def test_new_jobs_are_refused_and_others_still_taken(api: InMemoryApi) -> None:
    await count(api, acme=FULL)
    answer = await api.submit()
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["retryable"]) == (429, "tenant-backlog-full", True)
    assert (answer.headers["retry-after"], api.record.jobs) == ("4", {})
    assert "waiting" in problem["detail"]
    other = await api.client.post("/v1/jobs", json=PURE, headers=api.as_tenant("other", "submit"))
    assert other.status_code == 202
    await count(api, acme=FULL * 8 // 10)
    assert (await api.submit()).status_code == 202


async def test_what_needs_no_new_job_is_answered_as_ever(api: InMemoryApi) -> None:
    keyed = await api.client.post("/v1/jobs", json=PURE, headers=KEY)
    await count(api, acme=FULL)
    again = await api.client.post("/v1/jobs", json=PURE, headers=KEY)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert (await api.client.post("/v1/jobs", json=PURE)).json()["coalesced"]
    api.record.finish(keyed.json()["id"])
    cached = await api.client.post("/v1/jobs", json=PURE)
    assert (cached.status_code, cached.json()["state"]) == (200, "succeeded")


async def test_items_of_a_batch_are_refused_one_by_one_and_a_whole_batch_as_one(api: InMemoryApi) -> None:
    found = (await api.client.post("/v1/jobs", json=PURE)).json()["id"]
    await count(api, acme=FULL * 9 // 10)
    items = [PURE, PURE | {"kind": "demo.sum"}]
    batch = (await api.client.post("/v1/batches", json={"jobs": items})).json()
    assert batch["items"][0]["job"]["id"] == found
    assert batch["items"][1]["problem"]["type"] == "tenant-backlog-full"
    whole = await api.client.post("/v1/batches", json={"jobs": items, "atomic": True})
    assert (whole.status_code, whole.json()["type"]) == (429, "tenant-backlog-full")
    assert list(api.record.jobs) == [found]
    assert (await api.submit()).status_code == 202, "single jobs still are"


async def test_a_tenant_over_its_share_sees_it_in_the_document(api: InMemoryApi) -> None:
    await count(api, acme=1_000, other=1)
    job = (await api.submit()).json()
    assert (job["priority"], job["state"]) == ("overflow", "queued")
    shown = (await api.client.get(job["links"]["self"])).json()
    assert shown["waiting_on"] == "over-share"


async def test_the_whole_backlog_has_a_cap_besides(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.state.cap, "_limits", BacklogLimits(jobs=200))
    done = (await api.client.post("/v1/jobs", json=PURE)).json()
    api.record.finish(done["id"])
    await count(api, other=200)
    answer = await api.submit()
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["retryable"]) == (503, "backlog-full", True)
    assert (answer.headers["retry-after"], list(api.record.jobs)) == ("1", [done["id"]])
    assert (await api.client.post("/v1/jobs", json=PURE)).json()["id"] == done["id"]
    await count(api, other=160)
    assert (await api.submit()).status_code == 202


async def test_a_tenant_that_keeps_too_much_is_refused(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = (await api.client.post("/v1/jobs", json=PURE)).json()
    api.record.finish(done["id"])
    monkeypatch.setattr(api.state.storage_cap, "_most", 2 * MIB)
    monkeypatch.setattr(api.state.storage_cap, "_large", {"acme": 2 * MIB})
    answer = await api.submit()
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["retryable"]) == (429, "tenant-storage-full", True)
    assert (answer.headers["retry-after"], list(api.record.jobs)) == ("60", [done["id"]])
    assert "2 MiB" in problem["detail"]
    assert (await api.client.post("/v1/jobs", json=PURE)).json()["id"] == done["id"]
    monkeypatch.setattr(api.state.storage_cap, "_large", {"acme": 2 * MIB - 1})
    assert (await api.submit()).status_code == 202
