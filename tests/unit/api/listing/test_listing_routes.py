"""Lists and bulk changes with and without the fast path, without servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.listing import bulk
from sluice.core.access import Note
from sluice.core.job import JobState
from tests.support.fake_listing_store import FakeListingStore
from tests.unit.api.in_memory_api import InMemoryApi

ROUTES = [("GET", "/v1/jobs", "read")]
CHANGES = [("POST", "/v1/jobs/cancel", "submit"), ("POST", "/v1/jobs/retry", "submit")]
QUEUED = {"filter": {"state": ["queued", "running"]}}


@pytest.fixture
def listed(api: InMemoryApi) -> FakeListingStore:
    """The record as lists see it."""
    store = api.state.listing._store
    assert isinstance(store, FakeListingStore)
    return store


async def submitted(api: InMemoryApi, count: int, state: JobState = JobState.QUEUED) -> list[str]:
    """Ids of so many jobs in this state, newest first."""
    ids = [str((await api.submit()).json()["id"]) for _ in range(count)]
    for job_id in ids:
        if state == JobState.RUNNING:
            api.record.add(api.record.jobs[job_id], state=state, version=2)
        elif state != JobState.QUEUED:
            api.record.finish(job_id, state, None)
    return ids[::-1]


async def change(api: InMemoryApi, what: str, **body: Any) -> dict[str, Any]:
    """The answer to a bulk change that is taken."""
    answer = await api.client.post(f"/v1/jobs/{what}", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def test_a_list_shows_documents_without_results_newest_first(api: InMemoryApi) -> None:
    done, queued = await submitted(api, 1, JobState.SUCCEEDED), await submitted(api, 1)
    answer = await api.client.get("/v1/jobs")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert [job["id"] for job in answer.json()["jobs"]] == queued + done
    assert answer.json()["next_page_token"] is None
    for item in answer.json()["jobs"]:
        whole = (await api.client.get(item["links"]["self"])).json()
        assert item == {name: value for name, value in whole.items() if name != "result"}


async def test_pages_follow_each_other_to_the_end(api: InMemoryApi) -> None:
    ids, shown, token = await submitted(api, 7), [], None
    while True:
        more: dict[str, str] = {"page_token": token} if token else {}
        page = (await api.client.get("/v1/jobs", params={"page_size": "3", **more})).json()
        shown.append([job["id"] for job in page["jobs"]])
        token = page["next_page_token"]
        if token is None:
            break
    assert shown == [ids[:3], ids[3:6], ids[6:]]


async def test_a_token_is_good_for_its_list_its_tenant_and_its_filter_alone(api: InMemoryApi) -> None:
    await submitted(api, 3)
    token = (await api.client.get("/v1/jobs?page_size=1&state=queued")).json()["next_page_token"]
    assert (await api.client.get(f"/v1/jobs?state=queued&page_token={token}")).status_code == 200
    other = api.as_tenant("other", "read", "payloads")
    for query, headers in (
        (f"state=queued&page_token={token}", other),
        (f"page_token={token}", None),
        (f"state=queued&kind=demo.sum&page_token={token}", None),
        (f"state=queued&page_token={token[::-1]}", None),
        ("page_token=", None),
    ):
        answer = await api.client.get(f"/v1/jobs?{query}", headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?page_token")
    body = {"filter": {"state": "queued"}, "page_token": token}
    answer = await api.client.post("/v1/jobs/cancel", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/page_token")


async def test_a_list_tells_its_time_where_asked(api: InMemoryApi) -> None:
    assert "record;dur=" in (await api.client.get("/v1/jobs?timing=1")).headers["server-timing"]


async def test_a_dry_run_changes_nothing_and_is_what_happens_unless_told(api: InMemoryApi) -> None:
    ids = await submitted(api, 2)
    for more in ({}, {"dry_run": True}):
        answer = await change(api, "cancel", **QUEUED, **more)
        assert answer == {
            "matched": 2, "changed": 0, "dry_run": True, "jobs": ids, "more": False, "next_page_token": None,
        }  # fmt: skip
    assert {job.state for job in api.record.jobs.values()} == {"queued"}
    assert api.cache.announced == []


async def test_many_are_cancelled_announced_and_asked_to_stop(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 3)
    queued, running = await submitted(api, 4), await submitted(api, 4, JobState.RUNNING)
    stops: list[str] = []
    listening = asyncio.create_task(api.cache.listen_stops(stops.append))
    await asyncio.sleep(0)
    answer = await change(api, "cancel", **QUEUED, dry_run=False)
    assert (answer["matched"], answer["changed"], answer["jobs"]) == (8, 8, running + queued)
    assert "retries" not in answer
    assert set(api.cache.documents) == set(queued)
    assert {each for batch in api.cache.announced for each in batch} == {*queued, *running}
    assert sorted(stops) == sorted(running)
    assert (await change(api, "cancel", **QUEUED, dry_run=False))["matched"] == 0
    listening.cancel()


async def test_many_are_cancelled_without_redis(api: InMemoryApi) -> None:
    await submitted(api, 2, JobState.RUNNING)
    api.cache.away = True
    assert (await change(api, "cancel", **QUEUED, dry_run=False))["changed"] == 2


async def test_a_limit_is_kept_and_the_rest_is_one_token_away(api: InMemoryApi) -> None:
    ids = await submitted(api, 5)
    first = await change(api, "cancel", **QUEUED, limit=3)
    assert (first["jobs"], first["more"]) == (ids[:3], True)
    second = await change(api, "cancel", **QUEUED, limit=3, page_token=first["next_page_token"])
    assert (second["jobs"], second["more"], second["next_page_token"]) == (ids[3:], False, None)


async def test_many_are_tried_again_once(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    failed = await submitted(api, 5, JobState.FAILED)
    await submitted(api, 1)
    answer = await change(api, "retry", filter={}, dry_run=False)
    assert (answer["matched"], answer["changed"], answer["jobs"]) == (5, 5, failed)
    again = {job.retry_of: job.id for job in api.record.jobs.values() if job.retry_of}
    assert answer["retries"] == again
    second = await change(api, "retry", filter={}, dry_run=False)
    assert (second["matched"], second["changed"], second["retries"]) == (0, 0, {})
    assert len(api.record.jobs) == 11


async def test_what_was_tried_again_meanwhile_is_not_counted(
    api: InMemoryApi, listed: FakeListingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await submitted(api, 3, JobState.FAILED)
    really = listed.retry_jobs

    async def late(tenant: str, new_ids: Any, note: Note) -> Any:
        await api.client.post(f"/v1/jobs/{ids[0]}/retry")
        return await really(tenant, new_ids, note)

    monkeypatch.setattr(listed, "retry_jobs", late)
    answer = await change(api, "retry", filter={"state": "failed"}, dry_run=False)
    assert (answer["matched"], answer["changed"], set(answer["retries"])) == (3, 2, set(ids[1:]))


@pytest.mark.parametrize(
    ("what", "given", "code"),
    [
        ("cancel", {}, "empty"),
        ("cancel", {"kind": None}, "empty"),
        ("cancel", {"state": "failed"}, "state"),
        ("cancel", {"state": ["queued", "succeeded"]}, "state"),
        ("cancel", {"error": "0123456789abcdef"}, "state"),
        ("retry", {"state": "cancelled"}, "state"),
        ("retry", {"state": ["failed", "queued"]}, "state"),
        ("retry", {"state": "queued", "error": "0123456789abcdef"}, "contradiction"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_filter_that_cannot_be_meant_is_refused(
    api: InMemoryApi, what: str, given: dict[str, Any], code: str, dry_run: bool
) -> None:
    await submitted(api, 2)
    answer = await api.client.post(f"/v1/jobs/{what}", json={"filter": given, "dry_run": dry_run})
    (flaw,) = answer.json()["errors"]
    assert (answer.status_code, flaw["code"]) == (422, code)
    assert {job.state for job in api.record.jobs.values()} == {"queued"}


async def test_nobody_reaches_the_jobs_of_others(api: InMemoryApi) -> None:
    await submitted(api, 2)
    await submitted(api, 2, JobState.FAILED)
    other = api.as_tenant("other", "submit", "read", "payloads", "admin")
    assert (await api.client.get("/v1/jobs", headers=other)).json()["jobs"] == []
    for what in ("cancel", "retry"):
        body = {"filter": {"kind": "demo.sum"}, "dry_run": False}
        answer = await api.client.post(f"/v1/jobs/{what}", json=body, headers=other)
        assert answer.json()["matched"] == 0
    assert len(api.record.jobs) == 4


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES + CHANGES)
async def test_each_route_asks_for_its_scope(api: InMemoryApi, method: str, path: str, scope: str) -> None:
    lacking = api.as_tenant("acme", "read" if scope == "submit" else "submit", "admin")
    answer = await api.client.request(
        method, path, json=QUEUED if method == "POST" else None, headers=lacking
    )
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "_"), ROUTES + CHANGES)
async def test_a_record_that_is_away_is_told(api: InMemoryApi, method: str, path: str, _: str) -> None:
    api.record.away = True
    body = {"filter": {"kind": "demo.sum"}} if method == "POST" else None
    answer = await api.client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")


@pytest.mark.parametrize(("_", "path", "__"), CHANGES)
async def test_a_bulk_change_is_plain_json_of_moderate_size(
    api: InMemoryApi, _: str, path: str, __: str
) -> None:
    text = await api.client.post(path, content=b"{}", headers={"content-type": "text/plain"})
    large = await api.client.post(path, content=b" " * 20_000, headers={"content-type": "application/json"})
    assert (text.status_code, large.status_code) == (415, 413)
