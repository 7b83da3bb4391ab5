"""A tenant, or all of them, with as many jobs waiting as may: nothing new is taken, retries neither, and what needs no new job is answered as ever."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.backlog_cap import MIB, BacklogLimits
from sluice.core.job import JobState
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


async def failure(api: InMemoryApi) -> str:
    """A job that has failed."""
    made: str = (await api.submit()).json()["id"]
    api.record.finish(made, JobState.FAILED, None)
    return made


async def test_a_retry_is_new_demand_but_one_that_was_made_before_is_answered_as_ever(
    api: InMemoryApi,
) -> None:
    once, never = await failure(api), await failure(api)
    again = (await api.client.post(f"/v1/jobs/{once}/retry")).json()
    await count(api, acme=FULL)
    refused = await api.client.post(f"/v1/jobs/{never}/retry")
    assert (refused.status_code, refused.json()["type"]) == (429, "tenant-backlog-full")
    assert refused.headers["retry-after"] == "4"
    assert (await api.client.post(f"/v1/jobs/{once}/retry")).json()["id"] == again["id"]
    assert len(api.record.jobs) == 3
    await count(api, acme=FULL * 9 // 10, other=1)
    await count(api, acme=FULL * 8 // 10)
    assert (await api.client.post(f"/v1/jobs/{never}/retry")).status_code == 202


async def test_a_retry_of_many_is_refused_as_a_batch_is_and_a_dry_run_is_not(api: InMemoryApi) -> None:
    failed = await failure(api)
    await count(api, acme=FULL * 9 // 10)
    everything: dict[str, Any] = {"filter": {"state": "failed"}, "dry_run": False}
    refused = await api.client.post("/v1/jobs/retry", json=everything)
    assert (refused.status_code, refused.json()["type"]) == (429, "tenant-backlog-full")
    dry = await api.client.post("/v1/jobs/retry", json=everything | {"dry_run": True})
    assert (dry.status_code, dry.json()["matched"]) == (202, 1)
    assert (await api.client.post(f"/v1/jobs/{failed}/retry")).status_code == 202, "a single one still is"


async def test_caps_of_all_and_of_storage_hold_for_retries_as_well(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = await failure(api)
    monkeypatch.setattr(api.state.storage_cap, "_most", 2 * MIB)
    monkeypatch.setattr(api.state.storage_cap, "_large", {"acme": 2 * MIB})
    refused = await api.client.post(f"/v1/jobs/{failed}/retry")
    assert (refused.status_code, refused.json()["type"]) == (429, "tenant-storage-full")
    monkeypatch.setattr(api.state.storage_cap, "_large", {})
    monkeypatch.setattr(api.state.cap, "_limits", BacklogLimits(jobs=200))
    await count(api, other=200)
    refused = await api.client.post(f"/v1/jobs/{failed}/retry")
    assert (refused.status_code, refused.json()["type"]) == (503, "backlog-full")


async def test_a_schedule_that_is_run_by_hand_is_refused_and_stays_as_it_is(api: InMemoryApi) -> None:
    nightly = {"name": "nightly", "cron": "0 3 * * *", "kind": "demo.sum", "input": {"values": [1]}}
    headers = api.as_tenant("acme", "admin")
    assert (await api.client.post("/v1/schedules", json=nightly, headers=headers)).status_code == 201
    await count(api, acme=FULL)
    refused = await api.client.post("/v1/schedules/nightly/run", headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (429, "tenant-backlog-full")
    assert (await api.client.get("/v1/schedules/nightly", headers=headers)).json()["last_job_id"] is None
    await count(api, other=FULL)
    await api.client.post("/v1/schedules/nightly/run", headers=headers)
    assert (await api.client.get("/v1/schedules/nightly", headers=headers)).json()["last_job_id"]
