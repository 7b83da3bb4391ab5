"""Cancel, retry, delete and attempts with and without the fast path, without servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from sluice.core.access import Actor
from sluice.core.job import JobState
from sluice.core.ports import AttemptRecord, Wake
from tests.support.waiting import until
from tests.unit.api.in_memory_api import InMemoryApi

NOBODY = "01900000-0000-7000-8000-000000000000"
ROUTES = [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""), ("GET", "/attempts")]
routes = pytest.mark.parametrize(("method", "path"), ROUTES)


async def submitted(api: InMemoryApi, state: JobState = JobState.QUEUED) -> str:
    """The id of a job in this state."""
    job_id = str((await api.submit()).json()["id"])
    if state == JobState.RUNNING:
        api.record.add(api.record.jobs[job_id], state=state, version=2)
    elif state != JobState.QUEUED:
        api.record.finish(job_id, state, None)
    return job_id


async def ask(api: InMemoryApi, job_id: str, what: str) -> httpx2.Response:
    """POST to a job."""
    return await api.client.post(f"/v1/jobs/{job_id}/{what}")


async def test_a_queued_job_is_cancelled_kept_and_told_to_those_who_wait(api: InMemoryApi) -> None:
    job_id = await submitted(api)
    wakes: dict[str, Wake] = {}
    listening = asyncio.create_task(api.cache.listen(wakes.update))
    await asyncio.sleep(0)
    answer = await ask(api, job_id, "cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert wakes == {job_id: Wake(2, finished=True)}
    assert api.cache.documents[job_id].body == answer.content
    listening.cancel()


async def test_a_running_job_is_asked_to_stop(api: InMemoryApi) -> None:
    job_id = await submitted(api, JobState.RUNNING)
    stops: list[str] = []
    listening = asyncio.create_task(api.cache.listen_stops(stops.append))
    await asyncio.sleep(0)
    first, second = await ask(api, job_id, "cancel"), await ask(api, job_id, "cancel")
    assert (first.status_code, first.json()["state"], first.headers["etag"]) == (202, "running", 'W/"3"')
    assert (second.status_code, second.content) == (202, first.content)
    assert set(stops) == {job_id}
    listening.cancel()


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
async def test_the_end_of_a_job_is_not_changed_by_a_cancel(api: InMemoryApi, state: JobState) -> None:
    job_id = await submitted(api, state)
    before = await api.client.get(f"/v1/jobs/{job_id}")
    answer = await ask(api, job_id, "cancel")
    assert (answer.status_code, answer.content) == (200, before.content)


async def test_a_cancel_holds_without_redis(api: InMemoryApi) -> None:
    api.cache.away = True
    for state in (JobState.QUEUED, JobState.RUNNING):
        job_id = await submitted(api, state)
        assert (await ask(api, job_id, "cancel")).json()["cancel_requested_at"]


async def test_a_cancel_does_not_wait_for_a_slow_redis_and_is_told_all_the_same(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, thaw, at_once = await submitted(api), asyncio.Event(), api.cache.announce

    async def frozen(*news: Any) -> None:
        await thaw.wait()
        await at_once(*news)

    monkeypatch.setattr(api.cache, "announce", frozen)
    assert (await ask(api, job_id, "cancel")).json()["state"] == "cancelled"
    assert api.cache.announced == []
    thaw.set()
    await until(lambda: api.cache.announced == [{job_id: 2}])


async def test_a_failed_job_is_tried_again_as_one_new_job(api: InMemoryApi) -> None:
    job_id = await submitted(api, JobState.FAILED)
    first, second = await ask(api, job_id, "retry"), await ask(api, job_id, "retry")
    assert (first.status_code, first.json()["retry_of"], first.json()["state"]) == (202, job_id, "queued")
    assert first.headers["location"] == f"/v1/jobs/{first.json()['id']}"
    assert (second.status_code, second.content) == (202, first.content)
    api.record.finish(first.json()["id"])
    assert (await ask(api, job_id, "retry")).status_code == 200


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED, JobState.CANCELLED])
async def test_what_has_not_failed_cannot_be_tried_again(api: InMemoryApi, state: JobState) -> None:
    answer = await ask(api, await submitted(api, state), "retry")
    assert (answer.status_code, answer.json()["type"]) == (409, "job-not-failed")


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
async def test_a_deleted_job_is_forgotten_here_and_in_the_cache(api: InMemoryApi, state: JobState) -> None:
    job_id = await submitted(api, state)
    url = f"/v1/jobs/{job_id}"
    await api.client.get(url)
    await api.state.lookup.drain()
    assert (len(api.state.lookup.memory), set(api.cache.documents)) == (1, {job_id})
    answer = await api.client.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (len(api.state.lookup.memory), set(api.cache.documents)) == (0, set())
    assert api.cache.forgotten == {job_id}
    for gone in (await api.client.get(url), await api.client.delete(url)):
        assert (gone.status_code, gone.json()["type"]) == (404, "job-unknown")


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
async def test_what_has_not_finished_cannot_be_deleted(api: InMemoryApi, state: JobState) -> None:
    job_id = await submitted(api, state)
    answer = await api.client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["type"]) == (409, "job-not-finished")
    assert job_id in api.record.jobs


async def test_nothing_is_deleted_while_copies_of_it_cannot_be_reached(api: InMemoryApi) -> None:
    job_id = await submitted(api, JobState.SUCCEEDED)
    api.cache.away = True
    answer = await api.client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (
        503,
        "cache-away",
        "2",
    )
    assert job_id in api.record.jobs
    api.cache.away = False
    assert (await api.client.delete(f"/v1/jobs/{job_id}")).status_code == 204


async def test_what_was_read_while_it_was_deleted_is_forgotten_too(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await submitted(api, JobState.SUCCEEDED)
    really = api.record.delete_job

    async def then_somebody_reads(tenant: str, job_id: str, by: Actor) -> bool:
        await api.client.get(f"/v1/jobs/{job_id}")
        told.clear()
        return await really(tenant, job_id, by)

    told: list[str] = []
    listening = asyncio.create_task(api.cache.listen_gone(told.append))
    await asyncio.sleep(0)
    monkeypatch.setattr(api.record, "delete_job", then_somebody_reads)
    assert (await api.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    assert (told, len(api.state.lookup.memory)) == ([job_id], 0)
    listening.cancel()


async def test_a_job_that_only_memory_remembers_is_unknown_to_a_delete(api: InMemoryApi) -> None:
    job_id = await submitted(api, JobState.SUCCEEDED)
    await api.client.get(f"/v1/jobs/{job_id}")
    del api.record.jobs[job_id]  # over another api
    assert (await api.client.delete(f"/v1/jobs/{job_id}")).status_code == 404


async def test_attempts_are_shown_in_full_to_admins_alone(api: InMemoryApi) -> None:
    job_id = await submitted(api, JobState.FAILED)
    at = datetime(2026, 1, 2, tzinfo=UTC)
    tries = [
        AttemptRecord(1, 1, "lease-lost", None, at, None, None),
        AttemptRecord(2, 1, "handler-error", at, at, b'{"title":"LookupError"}', "Traceback …"),
    ]
    api.record.attempts[job_id] = tries
    plain = (await api.client.get(f"/v1/jobs/{job_id}/attempts")).json()["attempts"]
    admin = api.as_tenant("acme", "read", "payloads", "admin")
    full = (await api.client.get(f"/v1/jobs/{job_id}/attempts", headers=admin)).json()["attempts"]
    assert [each["traceback"] for each in full] == [None, "Traceback …"]
    assert plain == [{name: each[name] for name in each if name != "traceback"} for each in full]
    assert plain[0]["error"] is None
    assert plain[1]["error"] == {"title": "LookupError"}
    assert plain[1]["finished_at"] == "2026-01-02T00:00:00Z"


@routes
async def test_jobs_of_others_and_what_is_no_id_are_unknown(api: InMemoryApi, method: str, path: str) -> None:
    job_id = await submitted(api, JobState.FAILED)
    other = api.as_tenant("other", "submit", "read", "payloads", "admin")
    for target, headers in ((job_id, other), (NOBODY, api.headers), ("nonsense", api.headers)):
        answer = await api.client.request(method, f"/v1/jobs/{target}{path}", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")
    assert api.record.jobs[job_id].state == "failed"
    assert len(api.record.jobs) == 1


@routes
async def test_a_record_that_is_away_is_told(api: InMemoryApi, method: str, path: str) -> None:
    job_id = await submitted(api, JobState.FAILED)
    api.record.away = True
    answer = await api.client.request(method, f"/v1/jobs/{job_id}{path}")
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
