"""Pages of other origins."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from api import app as app_module
from api.app import wrap_middleware
from api.http.cors import EXPOSED
from sluice.adapters.metrics import Metrics
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

PAGE = "https://app.example.com"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-mine"}
SAFE = {"cache-control", "content-length", "content-type"}
"""What scripts may read anyway (Fetch §2.2.2)."""
NOT_FOR_SCRIPTS = {
    "connection",
    "content-security-policy",
    "referrer-policy",
    "vary",
    "x-accel-buffering",
    "x-content-type-options",
}


@asynccontextmanager
async def serving_pages_of(*origins: str, express: bool = True) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an api that pages of these origins may call."""
    record = Record()
    state = build_state(record, settings(cors_origins=origins, express=express), Clock())
    key = record.add_key("acme", "submit", "read", "payloads")
    transport = httpx2.ASGITransport(wrap_middleware(state, Metrics()))
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sluice", headers=headers) as client:
        await client.get("/v1/kinds")
        yield client
        await state.submission.drain()


def granted(answer: httpx2.Response) -> dict[str, str]:
    """What the browser is told."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_by_default_no_page_of_another_origin_may_call() -> None:
    async with serving_pages_of() as client:
        answer = await client.options("/v1/jobs", headers=ASKS | {"origin": PAGE})
        assert (answer.status_code, answer.headers["allow"], granted(answer)) == (
            204,
            "GET, HEAD, OPTIONS, POST",
            {},
        )
        assert granted(await client.get("/v1/kinds", headers={"origin": PAGE})) == {}


@pytest.mark.parametrize(("origins", "told"), [((PAGE, "http://localhost:3000"), PAGE), (("*",), "*")])
async def test_a_preflight_needs_no_key_and_says_what_is_allowed(origins: tuple[str, ...], told: str) -> None:
    async with serving_pages_of(*origins) as client:
        del client.headers["authorization"]
        answer = await client.options("/v1/jobs", headers=ASKS | {"origin": PAGE})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == told
    assert answer.headers["access-control-allow-headers"] == "authorization,x-mine"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, DELETE"
    assert answer.headers["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_may_call_an_api_in_a_private_network() -> None:
    async with serving_pages_of(PAGE) as client:
        private = {"origin": PAGE, "access-control-request-private-network": "true"}
        answer = await client.options("/v1/jobs", headers=ASKS | private)
    assert (answer.status_code, answer.headers["access-control-allow-private-network"]) == (200, "true")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://app.example.com.evil.example", PAGE + "/"]
)
async def test_a_preflight_of_another_page_is_refused(origin: str) -> None:
    async with serving_pages_of(PAGE) as client:
        answer = await client.options("/v1/jobs", headers=ASKS | {"origin": origin})
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (400, None)
        answer = await client.get("/v1/kinds", headers={"origin": origin})
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (200, None)


@pytest.mark.parametrize("express", [True, False])
async def test_a_page_can_submit_look_up_and_read_why_it_was_refused(express: bool) -> None:
    async with serving_pages_of(PAGE, express=express) as client:
        client.headers["origin"] = PAGE
        work = {"kind": "demo.sum", "input": {"values": [1]}}
        submitted = await client.post("/v1/jobs", json=work)
        shown = [await client.get(submitted.headers["location"]) for _ in range(2)]
        refused = await client.post("/v1/jobs", json={})
        missing = await client.get("/v1/jobs/nope", headers={"authorization": "Bearer x"})
    answers = [submitted, *shown, refused, missing]
    assert [each.status_code for each in answers] == [202, 200, 200, 422, 401]
    for each in answers:
        assert each.headers["access-control-allow-origin"] == PAGE
        assert each.headers["vary"] == "authorization, Origin"
        assert set(EXPOSED) == set(each.headers["access-control-expose-headers"].split(", "))


def test_scripts_can_read_every_header_that_says_something() -> None:
    files = Path(app_module.__file__).parent.rglob("*.py")
    sent = {name for file in files for name in re.findall(r'(?<!get)\(b"([a-z-]+)", ', file.read_text())}
    exposed = {name.lower() for name in EXPOSED}
    assert sent - SAFE - NOT_FOR_SCRIPTS == exposed
