"""The api without servers as fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.app import create_app, document_of, encode_document, wrap_middleware
from sluice.adapters.metrics import Metrics
from sluice.core.registry import Registry
from sluice.handler import AnyHandler
from tests.support.fake_live_logs import FakeLiveLogs
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings


@pytest.fixture(autouse=True, scope="session")
def made_once() -> Iterator[None]:
    """Make the OpenAPI document once for the same kinds: it takes longer than most tests."""
    made: dict[tuple[object, ...], bytes] = {}

    def encode_once(app: FastAPI, registry: Registry[AnyHandler], wait_cap_s: float) -> bytes:
        key = (wait_cap_s, *(registry[kind] for kind in registry))
        if key not in made:
            made[key] = encode_document(app, registry, wait_cap_s)
        return made[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("api.app.encode_document", encode_once)
        yield


@pytest.fixture
def clock() -> Clock:
    """Time that moves when told to."""
    return Clock()


@pytest.fixture
def record() -> Record:
    """The record in memory."""
    return Record()


@pytest.fixture(params=["fast path", "FastAPI"])
async def api(request: pytest.FixtureRequest, record: Record, clock: Clock) -> AsyncIterator[InMemoryApi]:
    """The whole stack, once with the fast path and once without; with the settings that a module names as CHOSEN."""
    cache, live_logs = FakeCache(), FakeLiveLogs()
    metrics, more = Metrics(), getattr(request.module, "CHOSEN", {})
    chosen = settings(express=request.param == "fast path", **more)
    state = build_state(record, chosen, clock, cache, live_logs, metrics.http)
    transport = httpx2.ASGITransport(wrap_middleware(state, metrics), raise_app_exceptions=True)
    key = record.add_key("acme", "submit", "read", "payloads")
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sluice", headers=headers) as client:
        await client.get("/v1/kinds")  # from here on the key is known
        yield InMemoryApi(client, state, record, cache, metrics, key, headers, live_logs)
        await asyncio.wait_for(state.submission.drain(), 1)
        await asyncio.wait_for(state.lookup.drain(), 1)


@pytest.fixture
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    state = build_state(Record(), settings(), Clock())
    return document_of(create_app(state), state.registry, 55.0)
