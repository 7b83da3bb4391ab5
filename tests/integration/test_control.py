"""Retry, delete, and see the attempts of a job, on real servers and real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import redis.asyncio as redis

from sluice.adapters.redis.ports import RedisPorts, redis_ports
from sluice.core.document import Document
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Telemetry
from tests.support.job_client import SUM, WAIT, JobClient, submit_and_wait, submit_failing, until_ended
from tests.support.make_jobs import aged_id
from tests.support.servers import settings_for
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import answers, until_found

NOBODY = f"/v1/jobs/{aged_id(0)}"
ROUTES = [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""), ("GET", "/attempts")]
routes = pytest.mark.parametrize(("method", "path"), ROUTES)


async def test_a_failed_job_is_tried_again_once_however_many_ask(two_apis: Stack) -> None:
    async with two_apis.client() as client, two_apis.client(api=two_apis.apis[1]) as other:
        url = await submit_failing(client)
        answers = await asyncio.gather(*(each.post(f"{url}/retry") for each in (client, other) * 10))
        again = await until_ended(client, answers[0].json()["links"]["self"])
        later = await other.post(f"{url}/retry")
        original = await client.get(url)
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert {answer.json()["id"] for answer in answers} == {again["id"]}
    assert answers[0].headers["location"] == again["links"]["self"]
    assert (again["retry_of"], again["state"], again["attempt"]) == (original.json()["id"], "failed", 3)
    assert original.json()["state"] == "failed"
    assert (later.status_code, later.json()) == (200, again)
    assert await two_apis.count("select count(*) from jobs where retry_of = $1", original.json()["id"]) == 1


async def test_a_job_that_did_not_fail_cannot_be_tried_again(two_apis: Stack) -> None:
    async with two_apis.client() as client:
        done = (await submit_and_wait(client)).json()
        later = (await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()
        for job in (done, later, (await client.post(later["links"]["cancel"])).json()):
            answer = await client.post(job["links"]["self"] + "/retry")
            assert (answer.status_code, answer.json()["type"]) == (409, "job-not-failed")


async def test_attempts_show_their_tracebacks_to_admins_alone(two_apis: Stack) -> None:
    reader = await make_a_key(two_apis.servers, "demo", ["read", "payloads"])
    async with two_apis.client() as client, two_apis.client(key=reader) as plain:
        url = await submit_failing(client)
        full, bare = await client.get(f"{url}/attempts"), await plain.get(f"{url}/attempts")
    tries = full.json()["attempts"]
    assert [(each["attempt"], each["outcome"]) for each in tries] == [
        (number, "handler-error") for number in (1, 2, 3)
    ]
    assert {each["error"]["title"] for each in tries} == {"LookupError"}
    assert all("in fails" in each.pop("traceback") for each in tries)
    assert bare.json()["attempts"] == tries
    assert (full.status_code, full.headers["cache-control"]) == (200, "no-store")


async def test_a_job_that_went_well_has_no_attempts_to_show(two_apis: Stack) -> None:
    async with two_apis.client() as client:
        job = (await submit_and_wait(client)).json()
        assert (await client.get(job["links"]["self"] + "/attempts")).json() == {"attempts": []}


# Delete


async def test_a_deleted_job_is_unknown_over_every_api(two_apis: Stack) -> None:
    async with two_apis.client() as client, two_apis.client(api=two_apis.apis[1]) as other:
        done = await submit_and_wait(client)
        url = done.json()["links"]["self"]
        for each in (client, other):  # now both have it in memory
            assert (await each.get(url)).content == done.content
        deleted = await client.delete(url)
        gone = until_found(lambda: answers(other, url, 404))
        await asyncio.wait_for(gone, 5)  # process memory alone would keep it for 10 s
        for path, method in (("", "GET"), ("/result", "GET"), *((path, method) for method, path in ROUTES)):
            answer = await client.request(method, url + path)
            assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")
    assert (deleted.status_code, deleted.content, deleted.headers["cache-control"]) == (204, b"", "no-store")


async def test_nothing_that_was_under_way_brings_a_deleted_job_back(two_apis: Stack) -> None:
    async with two_apis.client() as client, two_apis.client(api=two_apis.apis[1]) as other:
        answer = await submit_and_wait(client, kind="own.pure", input={"number": 1, "mark": ""})
        job = answer.json()
        assert (await client.delete(job["links"]["self"])).status_code == 204
        ports = await redis_of(two_apis)
        late = Document(job["id"], "demo", job["version"], job["state"], 0, 0, answer.content)
        await ports.cache.announce({job["id"]: job["version"]}, [late], {})
        assert await ports.cache.get([job["id"]]) == [None]
        await ports.close()
        for each in (client, other):
            assert (await each.get(job["links"]["self"])).status_code == 404


async def redis_of(stack: Stack) -> RedisPorts:
    """Return Redis as the processes of this stack see it."""
    async with redis.Redis.from_url(stack.servers.redis.url) as client:
        (key, *_) = await client.keys("sluice:*:document:*")
    identity = RecordIdentity()
    identity.learn(str(key).split(":")[1])
    return redis_ports(settings_for(stack.servers), "tests", Telemetry(), identity)


async def test_the_work_of_a_deleted_job_is_done_anew(two_apis: Stack) -> None:
    work = {"kind": "own.pure", "input": {"number": 2}}
    async with two_apis.client() as client, two_apis.client(api=two_apis.apis[1]) as other:
        first = await submit_and_wait(client, **work)
        assert (await other.post("/v1/jobs", json=work)).json()["id"] == first.json()["id"]
        await client.delete(first.json()["links"]["self"])
        second = await submit_and_wait(client, **work)
        assert second.json()["id"] != first.json()["id"]
        assert (await other.post("/v1/jobs", json=work)).json()["id"] == second.json()["id"]


async def test_the_key_of_a_deleted_job_does_not_start_it_again(two_apis: Stack) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    async with two_apis.client() as client:
        job = (await client.post("/v1/jobs", json=SUM, headers=key | WAIT)).json()
        assert (await client.delete(job["links"]["self"])).status_code == 204
        again = await client.post("/v1/jobs", json=SUM, headers=key)
    assert (again.status_code, again.json()["type"]) == (410, "job-expired")


async def test_an_unfinished_job_cannot_be_deleted(two_apis: Stack, tmp_path: Path) -> None:
    async with two_apis.client() as client:
        later = (await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()
        work = JobClient(client, "own.loop", tmp_path)
        await work.begin()
        for url in (later["links"]["self"], work.url):
            answer = await client.delete(url)
            assert (answer.status_code, answer.json()["type"]) == (409, "job-not-finished")
        work.gate.touch()
        assert (await work.until_ended())["state"] == "succeeded"


async def test_a_failed_job_is_deleted_with_its_attempts(two_apis: Stack) -> None:
    async with two_apis.client() as client:
        url = await submit_failing(client)
        assert (await client.delete(url)).status_code == 204
    assert await two_apis.count("select count(*) from attempts where job_id = $1", url.split("/")[-1]) == 0


# Jobs of other tenants


@routes
async def test_a_job_of_another_tenant_is_as_unknown_as_one_that_never_was(
    two_apis: Stack, method: str, path: str
) -> None:
    other = await make_a_key(two_apis.servers, "other", ["submit", "read", "payloads", "admin"])
    async with two_apis.client() as client, two_apis.client(key=other) as stranger:
        url = await submit_failing(client)
        before = await client.get(url)
        foreign = await stranger.request(method, url + path)
        nobodys = await stranger.request(method, NOBODY + path)
        assert (await client.get(url)).content == before.content
    assert (foreign.status_code, foreign.json()["type"]) == (404, "job-unknown")
    assert shape(foreign) == shape(nobodys)
    assert await two_apis.count("select count(*) from jobs where tenant = 'other'") == 0


async def test_what_runs_for_others_cannot_be_cancelled(two_apis: Stack, tmp_path: Path) -> None:
    other = await make_a_key(two_apis.servers, "other", ["submit", "read", "payloads", "admin"])
    async with two_apis.client() as client, two_apis.client(key=other) as stranger:
        work = JobClient(client, "own.loop", tmp_path)
        await work.begin()
        assert (await stranger.post(f"{work.url}/cancel")).status_code == 404
        assert (await client.get(work.url)).json()["cancel_requested_at"] is None
        work.gate.touch()
        assert (await work.until_ended())["state"] == "succeeded"


def shape(answer: httpx2.Response) -> object:
    """Return an answer without what differs from request to request."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    return answer.status_code, headers, answer.json() | {"request_id": ""}
