"""The pages for people."""

from __future__ import annotations

import httpx2

from api.app import wrap_middleware
from sluice.adapters.metrics import Metrics
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings


async def test_the_root_greets_and_docs_need_no_key(api: InMemoryApi) -> None:
    api.client.headers.pop("authorization")
    assert (await api.client.get("/")).json()["links"]["docs"] == "/docs"
    for path in ("/docs", "/docs/start.js", "/openapi.json", "/docs/assets/swagger-ui.css"):
        assert (await api.client.get(path)).status_code == 200, path


async def test_pages_that_are_off_are_not_there(record: Record, clock: Clock) -> None:
    app = wrap_middleware(build_state(record, settings(docs=False), clock), Metrics())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://sluice") as client:
        for path in ("/docs", "/docs/start.js", "/openapi.json", "/docs/assets/swagger-ui.css"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (404, "not-found"), path
        assert (await client.get("/")).json()["links"].keys() == {"kinds"}


async def test_no_request_is_sent_back_as_it_came(api: InMemoryApi) -> None:
    for path in ("/v1/jobs", "/docs"):
        assert (await api.client.request("TRACE", path)).status_code == 405, path


async def test_the_docs_page_runs_nothing_from_elsewhere(api: InMemoryApi) -> None:
    answer = await api.client.get("/docs")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe-eval" not in answer.headers["content-security-policy"]
    assert b"http" not in answer.content
    assert b"<script>" not in answer.content
    assert (await api.client.get("/docs/assets/nothing.js")).json()["type"] == "not-found"
