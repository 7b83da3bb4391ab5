"""The dashboard without servers: real pages over a record in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest

from api.app import wrap_middleware
from sluice.adapters.metrics import Metrics
from tests.support.fake_live_logs import FakeLiveLogs
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings

EVERYTHING = ("submit", "read", "payloads", "admin", "operate")
SAME = {"sec-fetch-site": "same-origin", "origin": "http://localhost"}


class Seen(HTMLParser):
    """What a page has: its text, its links, its forms, and every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", list[tuple[str, dict[str, str | None]]]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.text += data

    def all(self, tag: str, name: str) -> list[str]:
        """All values of an attribute of such tags."""
        return [str(attributes[name]) for each, attributes in self.tags if each == tag and name in attributes]

    @property
    def acts(self) -> list[str]:
        """Where forms send acts to, but for those of the frame."""
        posts = [
            str(attributes["action"])
            for tag, attributes in self.tags
            if tag == "form" and attributes.get("method") == "post"
        ]
        return [each for each in posts if not each.endswith(("/theme", "/logout", "/login"))]


class Browser:
    """A browser that is logged in."""

    def __init__(self, api: InMemoryApi) -> None:
        self.api = api

    async def get(self, path: str) -> httpx2.Response:
        """Open a page."""
        return await self.api.client.get(f"/ui{path}")

    async def see(self, path: str) -> Seen:
        """Open a page that is there."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return Seen(answer.text)

    async def act(self, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx2.Response:
        """Send a form."""
        return await self.api.client.post(f"/ui{path}", data=form or {}, headers=SAME | headers)

    async def log_in(self, *scopes: str, tenant: str = "acme") -> None:
        """Log in with a new key."""
        self.api.client.cookies.clear()
        key = self.api.record.add_key(tenant, *scopes)
        answer = await self.act("/login", {"key": key})
        assert answer.status_code == 303, answer.text


@pytest.fixture
async def made(record: Record, clock: Clock) -> AsyncIterator[InMemoryApi]:
    """The whole stack, with the dashboard."""
    cache, live_logs, metrics = FakeCache(), FakeLiveLogs(), Metrics()
    state = build_state(record, settings(ui=True), clock, cache, live_logs, metrics.http)
    transport: Any = httpx2.ASGITransport(wrap_middleware(state, metrics), raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield InMemoryApi(client, state, record, cache, metrics, "", {}, live_logs)
        await asyncio.wait_for(state.submission.drain(), 1)
        await asyncio.wait_for(state.lookup.drain(), 1)


@pytest.fixture
async def browser(made: InMemoryApi) -> Browser:
    """A browser with a key that may do everything."""
    found = Browser(made)
    await found.log_in(*EVERYTHING)
    return found
