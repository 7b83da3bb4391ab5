"""Every route says who may use it."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.http.auth import OPEN_PATHS, ROUTE_SCOPES, check_scopes
from sluice.core.access import SCOPES
from sluice.errors import StartRefused
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings


@pytest.fixture
def app() -> FastAPI:
    return create_app(build_state(Record(), settings(), Clock()))


def test_every_route_declares_its_scope(app: FastAPI) -> None:
    routes = {(method, str(vars(route)["path"])) for route in app.routes for method in _methods(route)}
    guarded = {(method, path) for method, path in routes if path not in OPEN_PATHS}
    assert guarded == ROUTE_SCOPES.keys()


@pytest.mark.parametrize("path", ["/v1/new", "/new"])
def test_an_api_with_a_route_that_declares_no_scope_does_not_start(
    app: FastAPI, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.add_api_route(path, lambda: None, methods=["PUT"])
    with pytest.raises(StartRefused, match=f"PUT {path} declares no scope"):
        check_scopes(app.routes)
    monkeypatch.setattr("api.polls.routes.router.routes", [app.router.routes[-1]])
    with pytest.raises(StartRefused, match=path):
        create_app(build_state(Record(), settings(), Clock()))


def _methods(route: object) -> set[str]:
    return getattr(route, "methods", None) or {"GET"}


@pytest.mark.parametrize(("method", "template"), ROUTE_SCOPES)
async def test_nothing_of_a_request_is_judged_before_its_key(
    api: InMemoryApi, method: str, template: str
) -> None:
    url = re.sub(r"\{\w+\}", "x", template.replace("{kind}", "demo.sum")) + "?page_size=x&wait=x&what=x"
    content = b"{" if method in ("POST", "PUT") else None
    other = {*SCOPES} - {ROUTE_SCOPES[method, template]}
    for authorization, status in (({}, 401), (api.as_tenant("acme", *other), 403)):
        api.client.headers.pop("authorization", None)
        api.client.headers.update(authorization)
        answer = await api.client.request(method, url, content=content)
        assert answer.status_code == status
