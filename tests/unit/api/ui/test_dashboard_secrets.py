"""Secrets of an input are dots on every page, and dots are no secret."""

from __future__ import annotations

from typing import Any

import httpx2
from pydantic import BaseModel, SecretStr

from api.app import wrap_middleware
from sluice import handler
from sluice.adapters.metrics import Metrics
from sluice.secret_fields import DOTS
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings
from tests.unit.api.ui.conftest import EVERYTHING, Browser


class Login(BaseModel):
    """Who, and with what."""

    user: str
    password: SecretStr


class Nothing(BaseModel):
    """What comes of it."""


@handler("demo.login")
async def log_in(login: Login) -> Nothing:
    """Log in somewhere."""
    return Nothing()


async def test_secrets_are_dots_and_dots_are_not_submitted(record: Record, clock: Clock) -> None:
    state = build_state(record, settings(ui=True), clock, FakeCache(), kinds=[log_in])
    transport: Any = httpx2.ASGITransport(wrap_middleware(state, Metrics()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        browser = Browser(InMemoryApi(client, state, record, FakeCache(), Metrics(), ""))
        await browser.log_in(*EVERYTHING)
        led = (
            await browser.act("/kinds/demo.login/run", {"f.user": "ada", "f.password": "hunter2"})
        ).headers["location"]
        job_id = led.removeprefix("/ui/jobs/").partition("?")[0]
        assert record.jobs[job_id].input == b'{"password":"hunter2","user":"ada"}'
        for path in (f"/jobs/{job_id}", f"/kinds/demo.login?from={job_id}"):
            answer = await browser.get(path)
            assert "hunter2" not in answer.text
            assert DOTS in answer.text
        refused = await browser.act("/kinds/demo.login/run", {"f.user": "ada", "f.password": DOTS})
        assert refused.status_code == 422
        assert "write the value itself" in refused.text
        assert len(record.jobs) == 1
