"""`?timing=1`: every route of the api says how long it took, whatever it answers."""

from __future__ import annotations

import re

import pytest

from api.http.auth import ROUTE_SCOPES
from tests.unit.api.in_memory_api import InMemoryApi

ROUTES = [("HEAD" if method == "GET" else method, template) for method, template in ROUTE_SCOPES]
"""A stream ends at once if the head alone is asked for."""


@pytest.mark.parametrize(("method", "template"), ROUTES)
async def test_every_route_says_how_long_it_took(api: InMemoryApi, method: str, template: str) -> None:
    url = re.sub(r"\{\w+\}", "x", template.replace("{kind}", "demo.sum"))
    content = b"{}" if method in ("POST", "PUT") else None
    for authorization in (api.client.headers["authorization"], "Bearer none"):
        headers = {"authorization": authorization}
        answer = await api.client.request(method, f"{url}?timing=1", content=content, headers=headers)
        *parts, total = answer.headers["server-timing"].split(", ")
        assert re.fullmatch(r"total;dur=\d+\.\d\d", total)
        assert len(parts) == len(set(parts))
        silent = await api.client.request(method, url, content=content, headers=headers)
        assert (answer.status_code, "server-timing" in silent.headers) == (silent.status_code, False)


async def test_pages_do_not(api: InMemoryApi) -> None:
    for path in ("/openapi.json", "/livez", "/ui"):
        assert "server-timing" not in (await api.client.get(f"{path}?timing=1")).headers


@pytest.mark.parametrize("query", ["timing=0", "timing=", "timing", "xtiming=1", "timing=11", "a=timing=1"])
async def test_nothing_else_asks_for_it(api: InMemoryApi, query: str) -> None:
    assert "server-timing" not in (await api.client.get(f"/v1/kinds?{query}")).headers
