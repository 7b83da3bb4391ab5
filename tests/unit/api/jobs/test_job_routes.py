"""The routes of one job, with and without the fast path."""

from __future__ import annotations

import asyncio
from time import perf_counter

import orjson
import pytest

from sluice.core.job import JobState
from sluice.core.ports import Wake
from tests.unit.api.in_memory_api import InMemoryApi

NOBODY = "/v1/jobs/01900000-0000-7000-8000-000000000000"


async def test_a_submit_is_accepted_and_says_where_to_look(api: InMemoryApi) -> None:
    answer = await api.submit()
    job = answer.json()
    assert (answer.status_code, job["state"], job["kind"]) == (202, "queued", "demo.sum")
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["retry-after"] in ("1", "2")
    assert api.record.jobs[job["id"]].tenant == "acme"


async def test_a_bare_input_is_submitted_to_the_kind_of_the_path(api: InMemoryApi) -> None:
    answer = await api.client.post("/v1/kinds/demo.sum/jobs", json={"values": [4]})
    assert answer.status_code == 202
    assert answer.json()["kind"] == "demo.sum"
    assert orjson.loads(api.record.jobs[answer.json()["id"]].input or b"") == {"values": [4]}


async def test_an_unfinished_job_is_to_be_asked_for_again(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    answer = await api.client.get(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "authorization"
    assert "retry-after" in answer.headers


async def test_a_finished_job_may_be_kept(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id)
    for _ in range(2):  # from the record, then from memory
        answer = await api.client.get(f"/v1/jobs/{job_id}")
        assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
        assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
        assert answer.json()["result"] == {"total": 3}
        assert "retry-after" not in answer.headers


@pytest.mark.parametrize("validator", ['"3"', 'W/"3"', '"1", "3"', "*"])
async def test_who_has_the_document_gets_no_body(api: InMemoryApi, validator: str) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id)
    for _ in range(2):
        answer = await api.client.get(f"/v1/jobs/{job_id}", headers={"if-none-match": validator})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"3"')


async def test_who_has_an_older_document_gets_the_new_one(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id)
    answer = await api.client.get(f"/v1/jobs/{job_id}", headers={"if-none-match": 'W/"1"'})
    assert answer.status_code == 200


async def test_the_result_is_the_output_alone(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    assert (await api.client.get(f"/v1/jobs/{job_id}/result")).status_code == 202
    api.record.finish(job_id)
    answer = await api.client.get(f"/v1/jobs/{job_id}/result")
    assert (answer.status_code, answer.content) == (200, b'{"total":3}')
    again = await api.client.get(
        f"/v1/jobs/{job_id}/result", headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("state", "problem"), [(JobState.FAILED, "job-failed"), (JobState.CANCELLED, "job-cancelled")]
)
async def test_there_is_no_result_of_a_job_that_did_not_succeed(
    api: InMemoryApi, state: JobState, problem: str
) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id, state, None)
    answer = await api.client.get(f"/v1/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()["type"]) == (409, problem)


async def test_a_finished_result_answers_the_same_pure_work(api: InMemoryApi) -> None:
    first = await api.submit(kind="demo.pure")
    api.record.finish(first.json()["id"])
    again = await api.submit(kind="demo.pure")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.headers["cache-status"].startswith("sluice; hit; ttl=")


async def test_a_submit_that_waits_is_answered_with_the_result(api: InMemoryApi) -> None:
    waiting = asyncio.create_task(
        api.client.post(
            "/v1/jobs", json={"kind": "demo.sum", "input": {"values": [1, 2]}}, headers={"prefer": "wait=5"}
        )
    )
    await api.somebody_waits()
    (job_id,) = api.record.jobs
    api.record.finish(job_id)
    api.state.waiting.wake({job_id: Wake(3, True)})
    answer = await waiting
    assert (answer.status_code, answer.json()["result"]) == (200, {"total": 3})
    assert answer.headers["preference-applied"] == "wait=5"


async def test_a_submit_that_waits_in_vain_is_answered_with_the_job_as_it_is_then(api: InMemoryApi) -> None:
    work = {"kind": "demo.pure", "input": {"values": [1, 2]}}
    first = await api.client.post("/v1/jobs", json=work)
    waiting = asyncio.create_task(api.client.post("/v1/jobs", json=work, headers={"prefer": "wait=0.2"}))
    await api.somebody_waits()
    job_id = first.json()["id"]
    api.record.jobs[job_id] = api.record.jobs[job_id]._replace(state=JobState.RUNNING, version=2)
    answer = await waiting
    assert (answer.status_code, answer.json()["state"], answer.headers["etag"]) == (202, "running", 'W/"2"')
    assert answer.json()["coalesced"] is True
    assert answer.headers["preference-applied"] == "wait=0.2"


async def test_a_look_up_waits_for_the_next_change(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    waiting = asyncio.create_task(api.client.get(f"/v1/jobs/{job_id}?wait=5"))
    await api.somebody_waits()
    api.record.jobs[job_id] = api.record.jobs[job_id]._replace(state=JobState.RUNNING, version=2)
    api.state.waiting.wake({job_id: Wake(2, False)})
    assert (await waiting).json()["state"] == "running"


async def test_who_waits_with_an_older_version_is_answered_at_once(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    answer = await api.client.get(f"/v1/jobs/{job_id}?wait=5", headers={"if-none-match": 'W/"0"'})
    assert answer.json()["version"] == 1


async def test_who_waits_is_answered_when_the_process_stops(api: InMemoryApi) -> None:
    waiting = asyncio.create_task(
        api.client.post("/v1/jobs?wait=20", json={"kind": "demo.sum", "input": {"values": []}})
    )
    await api.somebody_waits()
    api.state.waiting.release()
    assert (await waiting).status_code == 202


async def test_a_short_wait_ends_with_what_is_known(api: InMemoryApi) -> None:
    answer = await api.client.post("/v1/jobs?wait=0.01", json={"kind": "demo.sum", "input": {"values": []}})
    assert answer.status_code == 202


@pytest.mark.parametrize("wait", ["-1", "56", "abc", "1e3", "", "1;DROP"])
async def test_a_wrong_wait_is_refused_before_anything_is_done(api: InMemoryApi, wait: str) -> None:
    answer = await api.client.post(
        f"/v1/jobs?wait={wait}", json={"kind": "demo.sum", "input": {"values": []}}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?wait")
    assert not api.record.jobs


async def test_the_time_spent_is_told_to_who_asks(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    timing = (await api.client.get(f"/v1/jobs/{job_id}?timing=1")).headers["server-timing"]
    assert [part.split(";")[0] for part in timing.split(", ")] == ["key", "look-up", "total"]
    assert "server-timing" not in (await api.client.get(f"/v1/jobs/{job_id}")).headers


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/jobs"), ("GET", "/v1/jobs/{}"), ("GET", "/v1/jobs/{}/result")]
)
async def test_the_wait_that_a_client_asks_for_is_no_time_of_the_api(
    api: InMemoryApi, method: str, path: str
) -> None:
    job_id = (await api.submit()).json()["id"]
    body = {"kind": "demo.sum", "input": {"values": []}} if method == "POST" else None
    address = path.format(job_id)
    started = perf_counter()
    for _ in range(3):
        answer = await api.client.request(method, f"{address}?wait=0.4&timing=1", json=body)
    assert perf_counter() - started > 1.1
    seconds = {
        (sample.labels["method"], sample.labels["route"]): sample.value
        for family in api.metrics.http.families()
        for sample in family.samples
        if sample.name == "sluice_http_request_seconds_sum"
    }
    assert 0 < seconds[method, path.format("{job_id}")] < 0.4
    waited = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))["wait"]
    assert 390 < float(waited) < 800


async def test_a_request_that_need_not_wait_tells_of_no_wait(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/result"):
        assert "wait;" not in (await api.client.get(f"{path}?timing=1")).headers["server-timing"]


async def test_jobs_of_others_are_unknown(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id)
    await api.client.get(f"/v1/jobs/{job_id}")  # now it is in memory
    other = api.as_tenant("other", "read", "payloads")
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/result"):
        for _ in range(2):  # the second time the key is known
            answer = await api.client.get(path, headers=other)
            assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/jobs", "read"),
        ("POST", "/v1/kinds/demo.sum/jobs", "read"),
        ("GET", "/v1/jobs/01900000-0000-7000-8000-000000000000", "submit"),
        ("GET", "/v1/jobs/01900000-0000-7000-8000-000000000000/result", "submit"),
        ("POST", f"{NOBODY}/cancel", "read"),
        ("POST", f"{NOBODY}/retry", "read"),
        ("DELETE", NOBODY, "read"),
        ("GET", f"{NOBODY}/attempts", "submit"),
        ("GET", "/v1/kinds", "admin"),
        ("GET", "/v1/kinds/demo.sum", "admin"),
    ],
)
async def test_a_key_without_the_scope_is_forbidden(
    api: InMemoryApi, method: str, path: str, scope: str
) -> None:
    headers = api.as_tenant("acme", scope)
    for _ in range(2):
        answer = await api.client.request(
            method, path, headers=headers, json={"kind": "demo.sum", "input": {}}
        )
        assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
        assert "insufficient_scope" in answer.headers["www-authenticate"]


async def test_the_record_away_is_told_and_nothing_is_unknown(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.away = True
    for answer in (await api.submit(), await api.client.get(f"/v1/jobs/{job_id}")):
        assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
        assert answer.json()["retryable"] is True
        assert int(answer.headers["retry-after"]) >= 1


async def test_finished_jobs_are_shown_while_the_record_is_away(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id)
    await api.client.get(f"/v1/jobs/{job_id}")
    api.record.away = True
    assert (await api.client.get(f"/v1/jobs/{job_id}")).status_code == 200


async def test_an_unknown_kind_is_422_in_a_body_and_404_in_a_path(api: InMemoryApi) -> None:
    body = await api.submit(kind="demo.nope")
    path = await api.client.post("/v1/kinds/demo.nope/jobs", json={})
    shown = await api.client.get("/v1/kinds/demo.nope")
    assert [(each.status_code, each.json()["type"]) for each in (body, path, shown)] == [
        (422, "kind-unknown"),
        (404, "kind-unknown"),
        (404, "kind-unknown"),
    ]


async def test_a_wrong_input_is_refused_with_a_pointer(api: InMemoryApi) -> None:
    whole = await api.submit(input={"values": [1, "x"], "more": 1})
    bare = await api.client.post("/v1/kinds/demo.sum/jobs", json={"values": [1, "x"]})
    assert {flaw["pointer"] for flaw in whole.json()["errors"]} == {"/input/values/1", "/input/more"}
    assert [flaw["pointer"] for flaw in bare.json()["errors"]] == ["/values/1"]
    assert whole.headers["content-type"] == "application/problem+json"


async def test_an_input_larger_than_its_kind_takes_is_refused(api: InMemoryApi) -> None:
    answer = await api.submit(input={"values": [], "x": "y" * 3_000})
    bare = await api.client.post("/v1/kinds/demo.sum/jobs", json={"values": [], "x": "y" * 3_000})
    assert [(each.status_code, each.json()["type"]) for each in (answer, bare)] == [(413, "too-large")] * 2


def fill(api: InMemoryApi, tenant: str) -> int:
    """Let a tenant hold all that it may."""
    size = 32 * 1024
    api.state.held.add(tenant, size)
    return size


async def test_a_tenant_with_too_many_bytes_under_way_is_told_to_come_back(api: InMemoryApi) -> None:
    size = fill(api, "acme")
    answer = await api.submit()
    assert (answer.status_code, answer.json()["type"]) == (429, "tenant-overloaded")
    assert (answer.headers["retry-after"], answer.json()["retryable"]) == ("1", True)
    other = api.as_tenant("other", "submit")
    await api.client.post("/v1/jobs", json={}, headers=other)  # from here on the key is known
    body = {"kind": "demo.sum", "input": {"values": [1]}}
    assert (await api.client.post("/v1/jobs", json=body, headers=other)).status_code == 202
    api.state.held.remove("acme", size)
    assert (await api.submit()).status_code == 202


async def test_too_many_bytes_of_all_tenants_are_refused(api: InMemoryApi) -> None:
    for tenant in ("one", "two"):
        fill(api, tenant)
    answer = await api.submit()
    assert (answer.status_code, answer.json()["type"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/v1/jobs/cancel", "/v1/jobs/retry"])
async def test_other_bodies_count_as_well(api: InMemoryApi, path: str) -> None:
    fill(api, "acme")
    assert (await api.client.post(path, json={"filter": {"state": "queued"}})).status_code == 429


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs", {"kind": "demo.sum", "input": {"values": [1]}}),
        ("/v1/jobs", {"kind": "demo.sum", "input": {"values": "no"}}),
        ("/v1/kinds/demo.sum/jobs", {"values": [1]}),
        ("/v1/jobs?wait=0.01", {"kind": "demo.sum", "input": {"values": [1]}}),
        ("/v1/jobs/cancel", {"filter": {"state": "queued"}}),
        ("/v1/jobs/cancel", {"nonsense": 1}),
    ],
)
async def test_nothing_is_held_of_a_request_that_was_answered(
    api: InMemoryApi, path: str, body: dict[str, object]
) -> None:
    await api.client.post(path, json=body)
    assert len(api.state.held) == 0


async def test_a_submit_that_waits_for_its_result_holds_nothing(api: InMemoryApi) -> None:
    body = {"kind": "demo.sum", "input": {"values": [1]}}
    waiting = asyncio.create_task(api.client.post("/v1/jobs?wait=30", json=body))
    await asyncio.wait_for(api.somebody_waits(), 10)
    assert len(api.state.held) == 0
    api.state.waiting.release()
    assert (await waiting).status_code == 202
