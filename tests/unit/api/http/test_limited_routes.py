"""What clients see of the limits of their keys, on both ways, and on every route that submits or polls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest

from api.app import wrap_middleware
from sluice.adapters.metrics import Metrics
from sluice.core.job import JobState
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

SUM = {"kind": "demo.sum", "input": {"values": [1, 2]}}
UNKNOWN = "01900000-0000-7000-8000-000000000000"
LIMITED = ("ratelimit-policy", "ratelimit")


class Limited:
    """Clients of one api, each with a key of its own."""

    def __init__(self, record: Record, clock: Clock, **chosen: Any) -> None:
        self.record, self.clock = record, clock
        self.state = build_state(record, settings(**chosen), clock)
        self._transport = httpx2.ASGITransport(wrap_middleware(self.state, Metrics()))

    async def client(self) -> httpx2.AsyncClient:
        """A client whose key is known."""
        key = self.record.add_key("acme", "submit", "read", "payloads", "admin")
        headers = {"authorization": f"Bearer {key}"}
        client = httpx2.AsyncClient(transport=self._transport, base_url="http://sluice", headers=headers)
        await client.get("/v1/kinds")
        return client


@pytest.fixture(params=["fast path", "FastAPI"])
async def limited(request: pytest.FixtureRequest, record: Record, clock: Clock) -> AsyncIterator[Limited]:
    """An api that takes 5 submits and 5 polls a minute of each key."""
    express = request.param == "fast path"
    api = Limited(record, clock, express=express, submit_rate="5/60", poll_rate="5/60")
    yield api
    await api.state.submission.drain()
    await api.state.lookup.drain()


def check_refused(answer: httpx2.Response, policy: str, retry_after: str = "12", left: int = 0) -> None:
    document = answer.json()
    assert (answer.status_code, document["type"], document["retryable"]) == (429, "rate-limited", True)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == retry_after
    assert answer.headers["ratelimit-policy"] == f'"{policy}";q=5;w=60'
    assert answer.headers["ratelimit"].startswith(f'"{policy}";r={left};t=')


async def test_submits_show_what_is_left_and_are_refused_once_nothing_is(limited: Limited) -> None:
    client = await limited.client()
    shown = []
    for _ in range(5):
        answer = await client.post("/v1/jobs", json=SUM)
        assert answer.status_code == 202
        shown.append(answer.headers["ratelimit"])
    assert shown == ['"key";r=4;t=12', '"key";r=3;t=24', '"key";r=2;t=36', '"key";r=1;t=48', '"key";r=0;t=60']
    check_refused(await client.post("/v1/jobs", json=SUM), "key")
    other = await limited.client()
    assert (await other.post("/v1/jobs", json=SUM)).status_code == 202
    limited.clock.now += 12
    assert (await client.post("/v1/jobs", json=SUM)).status_code == 202


async def test_refused_submits_leave_nothing(limited: Limited) -> None:
    client = await limited.client()
    for _ in range(9):
        await client.post("/v1/jobs", json=SUM)
    assert len(limited.record.jobs) == 5


async def test_a_submit_that_does_not_fit_counts_and_shows_what_is_left(limited: Limited) -> None:
    client = await limited.client()
    answer = await client.post("/v1/jobs", json={"kind": "none", "input": {}})
    assert (answer.status_code, answer.headers["ratelimit"]) == (422, '"key";r=4;t=12')


async def test_polls_show_no_limit_until_they_are_refused(limited: Limited) -> None:
    client = await limited.client()
    job = (await client.post("/v1/jobs", json=SUM)).json()["links"]["self"]
    for _ in range(5):
        answer = await client.get(job)
        assert answer.status_code == 200
        assert not any(name in answer.headers for name in LIMITED)
    check_refused(await client.get(job), "polls")
    assert (await client.post("/v1/jobs", json=SUM)).status_code == 202


async def test_finished_and_unchanged_jobs_count_as_polls_too(limited: Limited) -> None:
    client = await limited.client()
    made = (await client.post("/v1/jobs", json=SUM)).json()
    limited.record.finish(made["id"])
    tag = (await client.get(made["links"]["self"])).headers["etag"]
    for _ in range(4):
        answer = await client.get(made["links"]["self"], headers={"if-none-match": tag})
        assert answer.status_code == 304
    check_refused(await client.get(made["links"]["self"]), "polls")


@pytest.mark.parametrize("express", [True, False])
async def test_a_poll_that_the_fast_path_passes_on_counts_once(
    record: Record, clock: Clock, express: bool
) -> None:
    client = await Limited(record, clock, express=express, poll_rate="200/60").client()
    statuses = [(await client.get(f"/v1/jobs/{UNKNOWN}")).status_code for _ in range(220)]
    assert statuses.index(429) == 200
    assert set(statuses[:200]) <= {404, 410}


async def test_a_poll_of_many_counts_one_for_a_hundred(limited: Limited) -> None:
    client = await limited.client()
    ids = {f"01900000-0000-7000-8000-{number:012}": 0 for number in range(201)}
    few = dict(list(ids.items())[:100])
    assert (await client.post("/v1/jobs/poll", json={"jobs": ids})).status_code == 200
    assert (await client.post("/v1/jobs/poll", json={"jobs": few})).status_code == 200
    assert (await client.post("/v1/jobs/poll", json={"jobs": few})).status_code == 200
    check_refused(await client.post("/v1/jobs/poll", json={"jobs": few}), "polls")


async def test_a_batch_counts_each_item(limited: Limited) -> None:
    client = await limited.client()
    answer = await client.post("/v1/batches", json={"jobs": [SUM] * 4})
    assert (answer.status_code, answer.headers["ratelimit"]) == (202, '"key";r=1;t=48')
    check_refused(await client.post("/v1/batches", json={"jobs": [SUM] * 4}), "key", "36", 1)
    assert len(limited.record.jobs) == 4


async def test_a_batch_larger_than_the_quota_needs_all_of_it(limited: Limited) -> None:
    client = await limited.client()
    assert (await client.post("/v1/batches", json={"jobs": [SUM] * 20})).status_code == 202
    limited.clock.now += 12 * 15
    assert (await client.post("/v1/jobs", json=SUM)).status_code == 429
    limited.clock.now += 12
    assert (await client.post("/v1/jobs", json=SUM)).status_code == 202


async def test_lines_count_as_they_come(limited: Limited) -> None:
    client = await limited.client()
    headers = {"content-type": "application/x-ndjson"}
    lines = b"\n".join([orjson.dumps(SUM)] * 5)
    assert (await client.post("/v1/batches", content=lines, headers=headers)).status_code == 202
    check_refused(await client.post("/v1/batches", content=lines, headers=headers), "key")


async def test_other_routes_that_submit_count(limited: Limited) -> None:
    client = await limited.client()
    answer = await client.post("/v1/kinds/demo.sum/jobs", json=SUM["input"])
    assert (answer.status_code, answer.headers["ratelimit"]) == (202, '"key";r=4;t=12')
    schedule = {"name": "nightly", "cron": "0 3 * * *", "kind": "demo.sum", "input": SUM["input"]}
    await client.post("/v1/schedules", json=schedule)
    ran = await client.post("/v1/schedules/nightly/run")
    assert ran.headers["ratelimit"] == '"key";r=3;t=24'
    retried = await client.post(f"/v1/jobs/{answer.json()['id']}/retry")
    assert (retried.status_code, retried.headers["ratelimit"]) == (409, '"key";r=2;t=36')
    dry = await client.post("/v1/jobs/retry", json={"filter": {"kind": "demo.sum"}, "dry_run": True})
    assert (dry.status_code, dry.headers["ratelimit"]) == (202, '"key";r=1;t=48')


async def test_every_503_shows_the_limit(limited: Limited) -> None:
    client = await limited.client()
    await client.get("/v1/jobs")
    limited.record.away = True
    answer = await client.post("/v1/jobs", json=SUM)
    assert (answer.status_code, answer.headers["ratelimit"]) == (503, '"key";r=4;t=12')
    polled = await client.get(f"/v1/jobs/{UNKNOWN}")
    assert (polled.status_code, polled.headers["ratelimit"]) == (503, '"polls";r=4;t=12')
    listed = await client.get("/v1/errors")
    assert (listed.status_code, "ratelimit" in listed.headers) == (503, True)


async def test_nothing_is_said_of_a_key_that_cannot_be_looked_up(limited: Limited) -> None:
    client = await limited.client()
    limited.record.away = True
    key = limited.record.add_key("acme", "submit")
    answer = await client.post("/v1/jobs", json=SUM, headers={"authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
    assert not any(name in answer.headers for name in LIMITED)


async def test_results_and_batches_are_polls(limited: Limited) -> None:
    client = await limited.client()
    batch = (await client.post("/v1/batches", json={"jobs": [SUM]})).json()
    job = batch["items"][0]["job"]["links"]["self"]
    for path in (f"{job}/result", batch["links"]["self"], batch["links"]["results"], job, job):
        assert (await client.get(path)).status_code in (200, 202)
    check_refused(await client.get(f"{job}/result"), "polls")


async def test_without_a_rate_nothing_is_said_or_refused(record: Record, clock: Clock) -> None:
    client = await Limited(record, clock).client()
    for _ in range(50):
        answer = await client.post("/v1/jobs", json=SUM)
        assert answer.status_code == 202
    assert not any(name in answer.headers for name in LIMITED)


async def test_an_address_that_sends_no_valid_key_is_refused_with_its_wait(
    record: Record, clock: Clock
) -> None:
    client = await Limited(record, clock).client()
    bad = {"authorization": "Bearer slc_x"}
    answers = [await client.get("/v1/kinds", headers=bad) for _ in range(21)]
    assert {answer.status_code for answer in answers[:20]} == {401}
    refused = answers[20]
    assert (refused.status_code, refused.json()["type"]) == (429, "too-many-failures")
    assert refused.headers["retry-after"] == "3"
    assert not any(name in refused.headers for name in LIMITED)
    assert (await client.post("/v1/jobs", json=SUM)).status_code == 202


async def test_a_retry_by_a_filter_costs_each_new_job(limited: Limited) -> None:
    client = await limited.client()
    for job_id in [(await client.post("/v1/jobs", json=SUM)).json()["id"] for _ in range(3)]:
        limited.record.finish(job_id, JobState.FAILED)
    wanted = {"filter": {"kind": "demo.sum"}, "dry_run": False}
    answer = await client.post("/v1/jobs/retry", json=wanted)
    assert (answer.status_code, answer.json()["changed"]) == (202, 3)
    assert (await client.post("/v1/jobs", json=SUM)).status_code == 202  # one was left as it began
    check_refused(await client.post("/v1/jobs", json=SUM), "key", "36")
