"""The pages for people."""

from __future__ import annotations

from tests.unit.api.in_memory_api import InMemoryApi


async def test_the_root_greets_and_docs_need_no_key(api: InMemoryApi) -> None:
    api.client.headers.pop("authorization")
    assert (await api.client.get("/")).json()["links"]["docs"] == "/docs"
    for path in ("/docs", "/docs/start.js", "/openapi.json", "/docs/assets/swagger-ui.css"):
        assert (await api.client.get(path)).status_code == 200, path


async def test_the_docs_page_runs_nothing_from_elsewhere(api: InMemoryApi) -> None:
    answer = await api.client.get("/docs")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe-eval" not in answer.headers["content-security-policy"]
    assert b"http" not in answer.content
    assert b"<script>" not in answer.content
    assert (await api.client.get("/docs/assets/nothing.js")).json()["type"] == "not-found"
