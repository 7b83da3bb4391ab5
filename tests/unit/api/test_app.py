"""What the application answers where no route does, and to HEAD and OPTIONS."""

from __future__ import annotations

import pytest

from tests.unit.api.in_memory_api import InMemoryApi


@pytest.mark.parametrize("path", ["/v1/jobs/", "/v1", "/nothing", "/v1/kinds/demo.sum/", "/v1/jobs/a/b"])
async def test_a_path_that_is_not_there_is_a_problem_and_no_redirect(api: InMemoryApi, path: str) -> None:
    answer = await api.client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


async def test_a_wrong_method_is_told_the_right_ones(api: InMemoryApi) -> None:
    answer = await api.client.delete("/v1/jobs")
    assert (answer.status_code, answer.json()["type"]) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_options_answers_with_the_methods(api: InMemoryApi) -> None:
    answer = await api.client.options("/v1/jobs/01900000-0000-7000-8000-000000000000")
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (
        204,
        b"",
        "DELETE, GET, HEAD, OPTIONS",
    )


async def test_head_has_the_headers_of_get(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id)
    get = await api.client.get(f"/v1/jobs/{job_id}")
    head = await api.client.head(f"/v1/jobs/{job_id}")
    skip = {"x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in skip} == {
        k: v for k, v in get.headers.items() if k not in skip
    }
    assert head.status_code == 200
