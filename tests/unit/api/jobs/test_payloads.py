"""Results are for keys that may see them: all others see the job as it stands, without its result."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.job import JobState
from tests.unit.api.in_memory_api import InMemoryApi

RESULT = b'{"total":3}'
READER = ("read",)


@pytest.fixture
async def job(api: InMemoryApi) -> str:
    """The path of a job that has succeeded, and is in memory."""
    made = (await api.submit()).json()
    api.record.finish(made["id"], result=RESULT)
    path = f"/v1/jobs/{made['id']}"
    assert (await api.client.get(path)).json()["result"] == {"total": 3}
    return path


async def shown(api: InMemoryApi, path: str, *scopes: str, method: str = "GET", **more: Any) -> Any:
    """What the holder of a key with these scopes is shown, twice: a key is known from the second request on."""
    headers = api.as_tenant("acme", *scopes)
    first = await api.client.request(method, path, headers=headers, **more)
    again = await api.client.request(method, path, headers=headers, **more)
    assert first.status_code == again.status_code
    assert first.is_error or first.content == again.content
    return again


async def test_a_look_up_shows_all_but_the_result(api: InMemoryApi, job: str) -> None:
    whole = (await api.client.get(job)).json()
    answer = await shown(api, job, *READER)
    assert (answer.status_code, answer.json()) == (200, whole | {"result": None})
    assert answer.headers["etag"].startswith("W/")
    known = {"if-none-match": answer.headers["etag"]}
    again = await api.client.get(job, headers=known | api.as_tenant("acme", *READER))
    assert (again.status_code, again.content) == (304, b"")
    assert (await shown(api, job, "read", "payloads")).json() == whole


async def test_the_output_alone_is_for_those_who_may_see_it(api: InMemoryApi, job: str) -> None:
    answer = await shown(api, f"{job}/result", *READER, "submit", "admin")
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
    assert 'scope="payloads"' in answer.headers["www-authenticate"]
    assert (await shown(api, f"{job}/result", "read", "payloads")).content == RESULT


async def test_a_poll_shows_all_but_the_results(api: InMemoryApi, job: str) -> None:
    body = {"jobs": {job.rpartition("/")[2]: 0}}
    answer = await shown(api, "/v1/jobs/poll", *READER, method="POST", json=body)
    assert [each["result"] for each in answer.json()["jobs"]] == [None]
    assert RESULT not in answer.content
    assert RESULT in (await shown(api, "/v1/jobs/poll", "read", "payloads", method="POST", json=body)).content


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_no_change_of_a_job_shows_its_result(api: InMemoryApi, job: str, verb: str) -> None:
    if verb == "retry":
        api.record.finish(job.rpartition("/")[2], JobState.FAILED, None)
        api.state.lookup.memory.clear()
        api.cache.documents.clear()
        made = (await api.client.post(f"{job}/retry")).json()
        api.record.finish(made["id"], result=RESULT)
    whole = await shown(api, f"{job}/{verb}", "submit", "payloads", method="POST")
    answer = await shown(api, f"{job}/{verb}", "submit", method="POST")
    assert whole.json()["result"] == {"total": 3}
    assert answer.json() == whole.json() | {"result": None}
    assert answer.headers["etag"] == "W/" + whole.headers["etag"]


async def test_a_failed_job_is_the_same_for_all(api: InMemoryApi) -> None:
    made = (await api.submit()).json()
    api.record.finish(made["id"], JobState.FAILED, None)
    whole = await api.client.get(made["links"]["self"])
    answer = await shown(api, made["links"]["self"], *READER)
    assert (answer.content, answer.headers["etag"]) == (whole.content, whole.headers["etag"])


async def test_whoever_submits_sees_what_comes_of_it(api: InMemoryApi) -> None:
    pure = {"kind": "demo.pure", "input": {"values": [1]}}
    made = (await api.client.post("/v1/jobs", json=pure)).json()
    api.record.finish(made["id"])
    assert (await shown(api, "/v1/jobs", "submit", method="POST", json=pure)).json()["result"] == {"total": 3}


async def test_an_input_of_a_schedule_is_for_those_who_may_see_it(api: InMemoryApi) -> None:
    body = {"cron": "0 0 * * *", "kind": "demo.sum", "input": {"values": [7]}}
    path = "/v1/schedules/nightly"
    made = await shown(api, path, "admin", method="PUT", json=body)
    assert made.json()["input"] == {"values": [7]}
    for method, last in (("GET", ""), ("POST", "/pause"), ("POST", "/resume")):
        hidden = (await shown(api, path + last, "admin", method=method)).json()
        whole = (await shown(api, path + last, "admin", "payloads", method=method)).json()
        assert whole == hidden | {"input": {"values": [7]}}
        assert "input" not in hidden
