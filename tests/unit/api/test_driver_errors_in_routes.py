"""Whatever a server raises at whatever call of the api: an honest answer, and all works once it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from sluice.adapters.postgres.pool import translated
from sluice.core.errors import BadRow, OutcomeUnknown, Overloaded, ServerAway, ServerRefused, TryAgain
from sluice.core.job import JobState
from sluice.errors import SluiceError
from tests.support.driver_errors import few_postgres_errors
from tests.unit.api.in_memory_api import InMemoryApi

ADAPTED = {type(each): each for each in map(translated, few_postgres_errors())}
RECORD = [*ADAPTED.values(), OutcomeUnknown(), Overloaded(), KeyError("a mistake of ours")]
"""What the adapter makes of what the driver raises: one of each kind."""
CACHE = [ServerAway("redis"), ServerRefused("redis", "OOM")]
PURE = {"kind": "demo.pure", "input": {"values": [1, 2]}}

Ask = Callable[[InMemoryApi, str], Awaitable[httpx2.Response]]

ROUTES: dict[str, Ask] = {
    "submit": lambda api, _: api.submit(),
    "submit with a key": lambda api, _: api.client.post(
        "/v1/jobs", json=PURE, headers={"idempotency-key": "k"}
    ),
    "submit pure work": lambda api, _: api.client.post("/v1/jobs", json=PURE),
    "look up": lambda api, job_id: api.client.get(f"/v1/jobs/{job_id}"),
    "result": lambda api, job_id: api.client.get(f"/v1/jobs/{job_id}/result"),
    "list": lambda api, _: api.client.get("/v1/jobs"),
    "attempts": lambda api, job_id: api.client.get(f"/v1/jobs/{job_id}/attempts"),
    "cancel": lambda api, job_id: api.client.post(f"/v1/jobs/{job_id}/cancel"),
    "retry": lambda api, job_id: api.client.post(f"/v1/jobs/{job_id}/retry"),
    "delete": lambda api, job_id: api.client.delete(f"/v1/jobs/{job_id}"),
    "bulk cancel": lambda api, _: api.client.post("/v1/jobs/cancel", json={"filter": {"kind": "demo.sum"}}),
    "bulk retry": lambda api, _: api.client.post("/v1/jobs/retry", json={"filter": {"kind": "demo.sum"}}),
    "with a new key": lambda api, job_id: api.client.get(
        f"/v1/jobs/{job_id}", headers=api.as_tenant("acme", "read", "payloads")
    ),
}


def expected(error: Exception) -> tuple[int, bool]:
    """The status that an error of the record is answered with, and whether the request may succeed later."""
    if isinstance(error, ServerAway | TryAgain | Overloaded | OutcomeUnknown):
        return 503, True
    return (422, False) if isinstance(error, BadRow) else (500, False)


def said(answer: httpx2.Response) -> tuple[int, bool]:
    """The same of an answer."""
    problem: dict[str, Any] = answer.json()
    assert ("retry-after" in answer.headers) is problem["retryable"]
    assert "reset" not in answer.text
    assert "why" not in problem["detail"].split()
    return answer.status_code, problem["retryable"]


@pytest.mark.parametrize("route", ROUTES)
async def test_a_record_that_fails_is_told_honestly_and_works_again(
    api: InMemoryApi, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = (await api.submit()).json()["id"]
    for error in RECORD:
        api.record.away = error
        assert said(await ROUTES[route](api, job_id)) == expected(error), error
        api.record.away = False
    assert (await ROUTES[route](api, job_id)).status_code < 500
    unforeseen = [each for each in caplog.records if each.message == "unforeseen"]
    assert len(unforeseen) == sum(not isinstance(error, SluiceError) for error in RECORD)


@pytest.mark.parametrize("route", ROUTES)
async def test_a_cache_that_fails_is_not_noticed_but_by_a_delete(api: InMemoryApi, route: str) -> None:
    job_id = (await api.submit()).json()["id"]
    api.record.finish(job_id, JobState.SUCCEEDED)
    for error in CACHE:
        api.cache.away = error
        answer = await ROUTES[route](api, job_id)
        assert answer.status_code == 503 if route == "delete" else answer.status_code < 500
        api.cache.away = False


async def test_who_waits_is_answered_with_what_is_known(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    known = (await api.client.get(f"/v1/jobs/{job_id}")).json()
    found = await api.state.lookup.find("acme", job_id)
    for error in RECORD:
        if isinstance(error, ServerAway | TryAgain | Overloaded):
            api.record.away = error
            waited = await api.state.waiting.wait("acme", found, 0.001, _never)
            assert waited.id == known["id"]


async def _never() -> dict[str, Any]:
    return {"type": "http.disconnect"}
