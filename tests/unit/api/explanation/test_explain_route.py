"""The route that explains a job, without servers."""

from __future__ import annotations

import pytest

from sluice.core.access import Actor
from sluice.core.job import JobState
from sluice.core.queue_stats import LaneStatistics, Times, write_statistics
from tests.support.make_jobs import aged_id
from tests.unit.api.in_memory_api import InMemoryApi

RUNS = Times(runs=9, mean_s=2, p50_s=1, p90_s=5)


async def explained(api: InMemoryApi, job_id: str) -> dict[str, object]:
    """What is said of a job."""
    answer = await api.client.get(f"/v1/jobs/{job_id}/explain")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def test_a_job_is_explained_with_what_is_known_of_its_lane(api: InMemoryApi) -> None:
    lane = LaneStatistics(
        queued=4, running=0, oldest_queued_s=1, oldest_undispatched_s=0, slots=8, times=RUNS
    )
    await api.cache.post_statistics(write_statistics({"default": lane}), 60)
    assert await api.state.counts.read_board()
    job_id = (await api.submit()).json()["id"]
    at = "2026-01-02T00:00:00Z"
    assert await explained(api, job_id) == {
        "job_id": job_id,
        "state": "queued",
        "reason": "queued-behind",
        "detail": "Jobs of its lane and priority that wait before it: none, it is the next.",
        "position": 1,
        "eta": {"p50_s": 1.0, "p90_s": 5.0},
        "timeline": [
            {"at": at, "what": "accepted", "detail": "for the lane 'default'"},
            {"at": at, "what": "queued", "detail": "with the priority normal"},
        ],
    }


async def test_each_reason_comes_from_what_the_job_meets(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.broker_up = False
    assert (await explained(api, job_id))["reason"] == "broker-away"
    api.record.served = {}
    assert (await explained(api, job_id))["reason"] == "unknown-kind"
    api.record.served_lanes.clear()
    assert (await explained(api, job_id))["reason"] == "no-consumer"
    await api.record.pause_lane("default", "the disk is full", "ops", Actor("key"))
    said = await explained(api, job_id)
    assert (said["reason"], said["eta"]) == ("lane-paused", None)
    assert "the disk is full" in str(said["detail"])
    api.record.finish(job_id, JobState.FAILED, None)
    assert (await explained(api, job_id))["reason"] == "finished"


@pytest.mark.parametrize("job_id", [None, "nothing", "%00"])
async def test_a_job_that_is_not_there_is_a_problem(api: InMemoryApi, job_id: str | None) -> None:
    answer = await api.client.get(f"/v1/jobs/{job_id or aged_id(0)}/explain")
    assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")


async def test_another_tenants_job_is_not_there(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    answer = await api.client.get(f"/v1/jobs/{job_id}/explain", headers=api.as_tenant("other", "read"))
    assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")


async def test_a_key_that_may_not_read_is_refused(api: InMemoryApi) -> None:
    answer = await api.client.get(f"/v1/jobs/{aged_id(0)}/explain", headers=api.as_tenant("acme", "submit"))
    assert answer.status_code == 403


async def test_a_record_that_is_away_is_a_problem(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.away = True
    answer = await api.client.get(f"/v1/jobs/{job_id}/explain")
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
