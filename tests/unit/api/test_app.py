"""What the application answers where no route does, and to HEAD and OPTIONS."""

from __future__ import annotations

import pytest

from tests.unit.api.in_memory_api import InMemoryApi


@pytest.mark.parametrize("path", ["/v1/jobs/", "/v1", "/nothing", "/v1/kinds/demo.sum/", "/v1/jobs/a/b"])
async def test_a_path_that_is_not_there_is_a_problem_and_no_redirect(api: InMemoryApi, path: str) -> None:
    answer = await api.client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/jobs/poll", "/v1/jobs/cancel", "/v1/jobs/retry"])
async def test_a_path_that_is_written_out_is_no_job(api: InMemoryApi, method: str, path: str) -> None:
    answer = await api.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert answer.json()["detail"] == "This path takes OPTIONS, POST."


async def test_a_submit_whose_key_belongs_to_a_job_that_is_gone_is_told_so(api: InMemoryApi) -> None:
    body = {"kind": "demo.sum", "input": {"values": [1]}}
    first = await api.client.post("/v1/jobs", json=body, headers={"idempotency-key": "k"})
    del api.record.jobs[first.json()["id"]]
    use = api.record.uses["acme", "k"]
    api.record.uses["acme", "k"] = use._replace(job_id="00000000-0000-0000-0000-000000000000")
    again = await api.client.post("/v1/jobs", json=body, headers={"idempotency-key": "k"})
    assert (again.status_code, again.json()["type"]) == (410, "job-expired")


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


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/v1/jobs/", "/v1/jobs"),
        ("//v1//jobs", "/v1/jobs"),
        ("/v1/kinds/demo.sum/", "/v1/kinds/demo.sum"),
        ("/jobs", "/v1/jobs"),
        ("/jobs/", "/v1/jobs"),
        ("/kinds/demo.sum/jobs", "/v1/kinds/demo.sum/jobs"),
        ("/docs/", "/docs"),
        ("/v1/kinds/a%20b%0a/", "/v1/kinds/a%20b%0A"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_path_that_is_nearly_right_is_told_the_right_one(
    api: InMemoryApi, method: str, path: str, right: str
) -> None:
    answer = await api.client.request(method, f"http://sluice{path}", content=b"{}")
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")
    assert answer.json()["detail"].endswith(f" at {right}")


@pytest.mark.parametrize(
    "path", ["/nothing", "/", "/v1", "/v1/", "/v2/jobs", "/%00", "/%ff/", "/" + "x" * 5_000]
)
async def test_elsewhere_no_path_is_named(api: InMemoryApi, path: str) -> None:
    answer = await api.client.post(f"http://sluice{path}")
    if path == "/":
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    else:
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is nothing at this path.")


ID = "01900000-0000-7000-8000-000000000000"
ALLOWED = {
    "/": "GET, HEAD, OPTIONS",
    "/docs": "GET, HEAD, OPTIONS",
    "/docs/assets/swagger-ui.css": "GET, HEAD, OPTIONS",
    "/openapi.json": "GET, HEAD, OPTIONS",
    "/v1/errors": "GET, HEAD, OPTIONS",
    "/v1/jobs": "GET, HEAD, OPTIONS, POST",
    "/v1/jobs/cancel": "OPTIONS, POST",
    "/v1/jobs/retry": "OPTIONS, POST",
    f"/v1/jobs/{ID}": "DELETE, GET, HEAD, OPTIONS",
    f"/v1/jobs/{ID}/attempts": "GET, HEAD, OPTIONS",
    f"/v1/jobs/{ID}/cancel": "OPTIONS, POST",
    f"/v1/jobs/{ID}/result": "GET, HEAD, OPTIONS",
    f"/v1/jobs/{ID}/retry": "OPTIONS, POST",
    "/v1/kinds": "GET, HEAD, OPTIONS",
    "/v1/kinds/demo.sum": "GET, HEAD, OPTIONS",
    "/v1/kinds/demo.sum/jobs": "OPTIONS, POST",
    "/v1/schedules": "GET, HEAD, OPTIONS, POST",
    "/v1/schedules/x": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/v1/schedules/x/pause": "OPTIONS, POST",
}


@pytest.mark.parametrize(("path", "methods"), ALLOWED.items())
async def test_every_path_says_which_methods_it_takes(api: InMemoryApi, path: str, methods: str) -> None:
    answer = await api.client.options(path)
    assert (answer.status_code, answer.headers["allow"]) == (204, methods)
    wrong = await api.client.request("PATCH", path)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, methods)
    assert methods in wrong.json()["detail"]
