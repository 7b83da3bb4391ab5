"""Bulk acts through real processes: an api that begins them, consumers whose keepers carry them on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uuid_utils

from tests.support.job_client import SUM, JobClient, submit_failing, until_ended
from tests.support.stack import Stack, make_a_key

PATH = "/v1/bulk"
LATER = SUM | {"options": {"delay_s": 3_600}}
SCOPES = ["submit", "read", "payloads", "admin"]


@pytest.fixture
async def client(two_apis: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a tenant of its own."""
    key = await make_a_key(two_apis.servers, f"t{uuid_utils.uuid4().hex[:8]}", SCOPES)
    async with two_apis.client(key) as client:
        yield client


async def submit_many(client: httpx2.AsyncClient, count: int) -> list[str]:
    """Jobs that wait for an hour."""
    answer = await client.post("/v1/batches", json={"jobs": [LATER] * count})
    assert answer.status_code == 202, answer.text
    return [item["job"]["id"] for item in answer.json()["items"]]


async def begin(client: httpx2.AsyncClient, act: str, **more: Any) -> dict[str, Any]:
    """An act that has begun."""
    answer = await client.post(PATH, json={"act": act, "filter": {"kind": "demo.sum"}, "rate": 10_000} | more)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def rested(client: httpx2.AsyncClient, act: dict[str, Any], state: str) -> dict[str, Any]:
    """The act once it rests, in this state."""
    answer = await client.get(act["links"]["self"], params={"wait": "30"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == state, answer.text
    return dict(answer.json())


async def test_a_cancel_is_counted_tried_and_done(client: httpx2.AsyncClient) -> None:
    ids = await submit_many(client, 450)
    act = await begin(client, "cancel", canary=10)
    assert (act["state"], act["filter"]) == (
        "counting", {"state": ["queued", "running", "scheduled"], "kind": "demo.sum"},
    )  # fmt: skip
    counted = await rested(client, act, "waiting")
    assert (counted["reason"], counted["matched"], counted["changed"]) == ("counted", 450, 0)
    late = (await client.post("/v1/jobs", json=LATER)).json()["id"]
    go = await client.post(act["links"]["go"], headers={"if-match": f'"{counted["version"]}"'})
    assert (go.status_code, go.json()["state"]) == (200, "canary")
    tried = await rested(client, act, "waiting")
    assert (tried["reason"], tried["changed"]) == ("canary-done", 10)
    again = await client.post(act["links"]["go"], headers={"if-match": f'"{counted["version"]}"'})
    assert (again.status_code, again.json()["type"]) == (409, "bulk-not-waiting")
    assert (await client.post(act["links"]["go"])).status_code == 200
    done = await rested(client, act, "finished")
    assert (done["changed"], done["reason"], done["finished_at"] is not None) == (450, None, True)
    states = [(await client.get(f"/v1/jobs/{each}")).json()["state"] for each in (*ids[::50], late)]
    assert states == ["cancelled"] * 9 + ["scheduled"]
    not_now = await client.post(act["links"]["go"])
    assert (not_now.status_code, not_now.json()["type"]) == (409, "bulk-not-waiting")
    actions = [each["action"] for each in (await client.get("/v1/audit")).json()["entries"]][:4]
    assert actions == ["bulk.finish", "bulk.go", "bulk.go", "bulk.start"]


async def test_who_waits_hears_of_the_cancel_and_what_runs_is_asked_to_stop(
    client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    work = JobClient(client, "own.loop", tmp_path)
    await work.begin()
    (job_id,) = await submit_many(client, 1)
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": "30"}))
    await asyncio.sleep(0.1)
    act = await begin(client, "cancel", filter={"state": ["running", "scheduled"]}, dry_run=False)
    assert (await asyncio.wait_for(waiting, 10)).json()["state"] == "cancelled"
    work.mark.unlink()
    assert (await work.until_ended())["state"] == "cancelled"
    assert (await rested(client, act, "finished"))["changed"] == 2


async def test_a_retry_whose_canary_fails_stops_by_itself(client: httpx2.AsyncClient) -> None:
    urls = [await submit_failing(client) for _ in range(3)]
    act = await begin(client, "retry", filter={}, dry_run=False, canary=1)
    stopped = await rested(client, act, "stopped")
    assert (stopped["reason"], stopped["changed"], stopped["canary_failed"]) == ("canary-failed", 1, 1)
    retries = (await client.get("/v1/jobs", params={"state": "failed"})).json()["jobs"]
    assert len(retries) == len(urls) + 1
    rest = await begin(client, "retry", filter={}, dry_run=False, canary=1, most_failed=1.0)
    done = await rested(client, rest, "finished")
    assert done["changed"] == 3  # two of the first, and the canary's


async def test_a_retry_makes_the_jobs_that_their_own_retries_answer_with(client: httpx2.AsyncClient) -> None:
    url = await submit_failing(client)
    act = await begin(client, "retry", filter={}, dry_run=False)
    assert (await rested(client, act, "finished"))["changed"] == 1
    again = (await client.post(f"{url}/retry")).json()
    assert again["retry_of"] == url.rsplit("/", 1)[1]
    assert (await until_ended(client, again["links"]["self"]))["state"] == "failed"


async def test_a_delete_leaves_no_copy(client: httpx2.AsyncClient) -> None:
    urls = [
        (await client.post("/v1/jobs?wait=20", json=SUM)).json()["links"]["self"] for _ in range(3)
    ]  # fmt: skip
    for url in urls:
        assert (await client.get(url)).status_code == 200
    act = await begin(client, "delete", dry_run=False)
    assert (await rested(client, act, "finished"))["changed"] == 3
    assert {(await client.get(url)).status_code for url in urls} <= {404, 410}


async def test_a_key_answers_with_the_same_act(client: httpx2.AsyncClient) -> None:
    body = {"act": "cancel", "filter": {"kind": "demo.sum"}}
    key = {"idempotency-key": "once"}
    answers = await asyncio.gather(*(client.post(PATH, json=body, headers=key) for _ in range(6)))
    assert {each.status_code for each in answers} == {202}
    assert len({each.json()["id"] for each in answers}) == 1
    assert sorted(each.headers.get("idempotent-replayed", "") for each in answers) == ["", *["true"] * 5]
    other = await client.post(PATH, json=body | {"act": "delete"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "key-reused")
    acts = (await client.get(PATH)).json()
    assert ([each["id"] for each in acts["acts"]], acts["next_page_token"]) == ([answers[0].json()["id"]], None)  # fmt: skip


async def test_an_act_at_a_rate_is_aborted(client: httpx2.AsyncClient) -> None:
    await submit_many(client, 30)
    act = await begin(client, "cancel", dry_run=False, rate=2)
    unchanged = await client.get(act["links"]["self"], headers={"if-none-match": f'"{act["version"]}"'})
    assert unchanged.status_code in (200, 304)
    aborted = (await client.post(act["links"]["abort"])).json()
    assert aborted["state"] == "aborted"
    assert (await client.post(act["links"]["abort"])).json() == aborted
    same = await client.get(act["links"]["self"], headers={"if-none-match": f'"{aborted["version"]}"'})
    assert (same.status_code, same.content) == (304, b"")
    left = (await client.get("/v1/jobs", params={"state": "scheduled"})).json()["jobs"]
    assert len(left) == 30 - aborted["changed"] >= 20


async def test_only_administrators_begin_acts(two_apis: Stack) -> None:
    key = await make_a_key(two_apis.servers, "plain", ["submit", "read", "payloads"])
    async with two_apis.client(key) as plain:
        refused = await plain.post(PATH, json={"act": "cancel", "filter": {"kind": "demo.sum"}})
        assert (refused.status_code, refused.json()["type"]) == (403, "forbidden")
