"""The api without servers, with its feed at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from api.app import wrap_middleware
from api.events import feed
from tests.unit.api.events.event_client import EventClient, following
from tests.unit.api.in_memory_api import InMemoryApi

Follow = Callable[..., AbstractAsyncContextManager[EventClient]]


@pytest.fixture(autouse=True)
async def feeding(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Read what has changed, with pauses that suit a test, and hear of it as from Redis."""
    monkeypatch.setattr(feed, "REST_S", 0.001)
    monkeypatch.setattr(feed, "AGAIN_S", 0.01)
    monkeypatch.setattr(feed, "LISTEN_S", 0.05)
    tasks = [
        asyncio.create_task(api.state.feed.follow()),
        asyncio.create_task(api.state.feed.follow_lines(api.live_logs.listen)),
        asyncio.create_task(api.cache.listen(api.state.feed.wake)),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.fixture
def follow(api: InMemoryApi) -> Follow:
    """Follow a path, with the key of acme unless another is given."""
    app = wrap_middleware(api.state, api.metrics)

    def start(
        path: str, headers: dict[str, str] | None = None, method: str = "GET", **more: str
    ) -> AbstractAsyncContextManager[EventClient]:
        given = {name.replace("_", "-"): value for name, value in more.items()}
        return following(app, path, (headers or api.headers) | given, method)

    return start
