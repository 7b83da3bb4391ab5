"""Groups of failures: what is shown of them, who may mark them, and what opens them again, without servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time

import pytest

from sluice.core.job import JobState, made_at
from sluice.core.listing import ErrorGroup
from tests.support.fake_listing_store import FakeListingStore
from tests.unit.api.in_memory_api import InMemoryApi

AT = datetime(2026, 1, 2, tzinfo=UTC)
FINGERPRINT = "0123456789abcdef"
ACTS = ["resolve", "ignore", "reopen"]


@pytest.fixture
def listed(api: InMemoryApi) -> FakeListingStore:
    """The record as groups see it."""
    store = api.state.error_groups._store
    assert isinstance(store, FakeListingStore)
    return store


async def fail(api: InMemoryApi, after_s: float = 0) -> str:
    """The id of a job that failed so long after the record's time began."""
    job_id = str((await api.submit()).json()["id"])
    error = b'{"type":"handler-error","title":"t","detail":"d","fingerprint":"%s"}' % FINGERPRINT.encode()
    job = api.record.jobs[job_id]
    api.record.add(
        job, state=JobState.FAILED, version=3, error=error, finished_at=AT + timedelta(seconds=after_s)
    )
    return job_id


async def act(api: InMemoryApi, what: str, fingerprint: str = FINGERPRINT) -> tuple[int, dict[str, object]]:
    """The answer of an admin's act."""
    answer = await api.client.post(
        f"/v1/errors/{fingerprint}/{what}", headers=api.as_tenant("acme", "admin", "read")
    )
    return answer.status_code, answer.json()


async def test_errors_are_shown_in_groups_with_an_example(api: InMemoryApi, listed: FakeListingStore) -> None:
    error = b'{"type":"gave-up","title":"The handler gave up","detail":"%s"}' % (b"x" * 2_000)
    hour = timedelta(hours=1)
    listed.errors = [
        ErrorGroup(FINGERPRINT, "demo.sum", 998, AT, "id", error, AT - hour, [AT, AT - hour, AT]),
        ErrorGroup(None, "demo.pure", 2, AT, "older", None, AT, [AT]),
    ]
    answer = (await api.client.get("/v1/errors")).json()
    assert answer["errors"][0] == {
        "fingerprint": FINGERPRINT,
        "kind": "demo.sum",
        "type": "gave-up",
        "title": "The handler gave up",
        "detail": "x" * 256,
        "state": "open",
        "count": 998,
        "first_at": "2026-01-01T23:00:00Z",
        "newest_at": "2026-01-02T00:00:00Z",
        "hours": [{"hour": "2026-01-01T23:00:00Z", "count": 1}, {"hour": "2026-01-02T00:00:00Z", "count": 2}],
        "marked_at": None,
        "back": None,
        "example": "id",
    }
    assert (answer["errors"][1]["fingerprint"], answer["errors"][1]["type"]) == (None, "")
    assert (answer["failures"], answer["more"]) == (1_000, True)
    ((tenant, lowest_id, limit),) = listed.asked
    assert (tenant, limit) == ("acme", 1_000)
    assert made_at(lowest_id) == pytest.approx(time() - 7 * 86_400, abs=60)


async def test_without_failures_there_are_no_groups(api: InMemoryApi) -> None:
    assert (await api.client.get("/v1/errors")).json() == {"errors": [], "failures": 0, "more": False}


async def test_a_resolved_error_is_opened_by_the_next_failure_which_says_its_version(
    api: InMemoryApi,
) -> None:
    await fail(api)
    status, group = await act(api, "resolve")
    assert (status, group["state"], group["back"]) == (200, "resolved", None)
    assert group["marked_at"] == "2026-01-02T00:00:00Z"
    await fail(api, 60)
    (group,) = (await api.client.get("/v1/errors")).json()["errors"]
    assert (group["state"], group["count"]) == ("open", 2)
    assert group["back"] == {"at": "2026-01-02T00:01:00Z", "version": 1}


async def test_an_ignored_error_stays_so_until_it_is_opened(api: InMemoryApi) -> None:
    await fail(api)
    assert (await act(api, "ignore"))[1]["state"] == "ignored"
    await fail(api, 60)
    (group,) = (await api.client.get("/v1/errors?state=ignored")).json()["errors"]
    assert (group["state"], group["back"]) == ("ignored", None)
    assert (await api.client.get("/v1/errors?state=open")).json()["errors"] == []
    status, group = await act(api, "reopen")
    assert (status, group["state"], group["marked_at"]) == (200, "open", None)


@pytest.mark.parametrize("fingerprint", ["f" * 16, "x" * 16, "0" * 15, "%00", "null"])
@pytest.mark.parametrize("what", ACTS)
async def test_what_nobody_failed_with_cannot_be_marked(
    api: InMemoryApi, listed: FakeListingStore, what: str, fingerprint: str
) -> None:
    await fail(api)
    status, problem = await act(api, what, fingerprint)
    assert (status, problem["type"]) == (404, "error-unknown")
    assert listed.marks == {}  # or anybody could fill the table


@pytest.mark.parametrize("query", ["state=done", "state=open&state=open", "states=open"])
async def test_a_query_that_makes_no_sense_is_refused(api: InMemoryApi, query: str) -> None:
    assert (await api.client.get(f"/v1/errors?{query}")).status_code == 422


@pytest.mark.parametrize("what", ACTS)
async def test_only_an_admin_may_mark(api: InMemoryApi, what: str) -> None:
    await fail(api)
    headers = api.as_tenant("acme", "read", "submit")
    answer = await api.client.post(f"/v1/errors/{FINGERPRINT}/{what}", headers=headers)
    assert answer.status_code == 403


async def test_while_the_record_is_away_that_is_said(api: InMemoryApi) -> None:
    api.record.away = True
    assert (await api.client.get("/v1/errors")).status_code == 503
