"""Try again, forget, and see the attempts of a job, on real servers and real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import redis.asyncio as redis

from sluice.adapters.redis.ports import RedisPorts, redis_ports
from sluice.core.document import Document
from sluice.core.runtime.telemetry import Telemetry
from tests.support.job_client import SUM, WAIT, JobClient, count, ended, failed, finished
from tests.support.make_jobs import aged_id
from tests.support.servers import settings_for
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import until_found

NOBODY = f"/v1/jobs/{aged_id(0)}"
ROUTES = [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""), ("GET", "/attempts")]
routes = pytest.mark.parametrize(("method", "path"), ROUTES)


async def test_a_failed_job_is_tried_again_once_however_many_ask(pair: Stack) -> None:
    async with pair.client() as client, pair.client(api=pair.apis[1]) as other:
        url = await failed(client)
        answers = await asyncio.gather(*(each.post(f"{url}/retry") for each in (client, other) * 10))
        again = await ended(client, answers[0].json()["links"]["self"])
        later = await other.post(f"{url}/retry")
        original = await client.get(url)
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert {answer.json()["id"] for answer in answers} == {again["id"]}
    assert answers[0].headers["location"] == again["links"]["self"]
    assert (again["retry_of"], again["state"], again["attempt"]) == (original.json()["id"], "failed", 3)
    assert original.json()["state"] == "failed"
    assert (later.status_code, later.json()) == (200, again)
    assert await count(pair, "select count(*) from jobs where retry_of = $1", original.json()["id"]) == 1


async def test_a_job_that_did_not_fail_cannot_be_tried_again(pair: Stack) -> None:
    async with pair.client() as client:
        done = (await finished(client)).json()
        later = (await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()
        for job in (done, later, (await client.post(later["links"]["cancel"])).json()):
            answer = await client.post(job["links"]["self"] + "/retry")
            assert (answer.status_code, answer.json()["type"]) == (409, "job-not-failed")


async def test_attempts_show_their_tracebacks_to_admins_alone(pair: Stack) -> None:
    reader = await make_a_key(pair.servers, "demo", ["read"])
    async with pair.client() as client, pair.client(key=reader) as plain:
        url = await failed(client)
        full, bare = await client.get(f"{url}/attempts"), await plain.get(f"{url}/attempts")
    tries = full.json()["attempts"]
    assert [(each["attempt"], each["outcome"]) for each in tries] == [
        (number, "handler-error") for number in (1, 2, 3)
    ]
    assert {each["error"]["title"] for each in tries} == {"LookupError"}
    assert all("in fails" in each.pop("traceback") for each in tries)
    assert bare.json()["attempts"] == tries
    assert (full.status_code, full.headers["cache-control"]) == (200, "no-store")


async def test_a_job_that_went_well_has_no_attempts_to_show(pair: Stack) -> None:
    async with pair.client() as client:
        job = (await finished(client)).json()
        assert (await client.get(job["links"]["self"] + "/attempts")).json() == {"attempts": []}


# Delete


async def test_a_deleted_job_is_unknown_over_every_api(pair: Stack) -> None:
    async with pair.client() as client, pair.client(api=pair.apis[1]) as other:
        answer = await finished(client)
        url = answer.json()["links"]["self"]
        for each in (client, other):  # now both have it in memory
            assert (await each.get(url)).content == answer.content
        deleted = await client.delete(url)

        async def unknown() -> bool:
            return (await other.get(url)).status_code == 404

        await asyncio.wait_for(until_found(unknown), 5)  # process memory alone would keep it for 10 s
        for path, method in (("", "GET"), ("/result", "GET"), *((path, method) for method, path in ROUTES)):
            gone = await client.request(method, url + path)
            assert (gone.status_code, gone.json()["type"]) == (404, "job-unknown")
    assert (deleted.status_code, deleted.content, deleted.headers["cache-control"]) == (204, b"", "no-store")


async def test_nothing_that_was_under_way_brings_a_deleted_job_back(pair: Stack) -> None:
    async with pair.client() as client, pair.client(api=pair.apis[1]) as other:
        answer = await finished(client, kind="own.pure", input={"number": 1, "mark": ""})
        job = answer.json()
        assert (await client.delete(job["links"]["self"])).status_code == 204
        ports = await redis_of(pair)
        late = Document(job["id"], "demo", job["version"], job["state"], 0, 0, answer.content)
        await ports.cache.announce({job["id"]: job["version"]}, [late], {})
        assert await ports.cache.get([job["id"]]) == [None]
        await ports.close()
        for each in (client, other):
            assert (await each.get(job["links"]["self"])).status_code == 404


async def redis_of(stack: Stack) -> RedisPorts:
    """Redis as the processes of this stack see it."""
    async with redis.Redis.from_url(stack.servers.redis.url) as client:
        (channel, *_) = await client.pubsub_channels("sluice:*:wake")
        assert isinstance(channel, bytes)
    ports = redis_ports(settings_for(stack.servers), "tests", Telemetry())
    ports.connection.belong_to(channel.decode().split(":")[1])
    return ports


async def test_the_work_of_a_deleted_job_is_done_anew(pair: Stack) -> None:
    work = {"kind": "own.pure", "input": {"number": 2}}
    async with pair.client() as client, pair.client(api=pair.apis[1]) as other:
        first = await finished(client, **work)
        assert (await other.post("/v1/jobs", json=work)).json()["id"] == first.json()["id"]
        await client.delete(first.json()["links"]["self"])
        second = await finished(client, **work)
        assert second.json()["id"] != first.json()["id"]
        assert (await other.post("/v1/jobs", json=work)).json()["id"] == second.json()["id"]


async def test_the_key_of_a_deleted_job_does_not_start_it_again(pair: Stack) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    async with pair.client() as client:
        job = (await client.post("/v1/jobs", json=SUM, headers=key | WAIT)).json()
        assert (await client.delete(job["links"]["self"])).status_code == 204
        again = await client.post("/v1/jobs", json=SUM, headers=key)
    assert (again.status_code, again.json()["type"]) == (410, "job-expired")


async def test_an_unfinished_job_cannot_be_deleted(pair: Stack, tmp_path: Path) -> None:
    async with pair.client() as client:
        later = (await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()
        work = JobClient(client, "own.loop", tmp_path)
        await work.begin()
        for url in (later["links"]["self"], work.url):
            answer = await client.delete(url)
            assert (answer.status_code, answer.json()["type"]) == (409, "job-not-finished")
        work.gate.touch()
        assert (await work.ended())["state"] == "succeeded"


async def test_a_failed_job_is_deleted_with_its_attempts(pair: Stack) -> None:
    async with pair.client() as client:
        url = await failed(client)
        assert (await client.delete(url)).status_code == 204
    assert await count(pair, "select count(*) from attempts where job_id = $1", url.split("/")[-1]) == 0


# Whose jobs they are


@routes
async def test_a_job_of_another_tenant_is_as_unknown_as_one_that_never_was(
    pair: Stack, method: str, path: str
) -> None:
    other = await make_a_key(pair.servers, "other", ["submit", "read", "admin"])
    async with pair.client() as client, pair.client(key=other) as stranger:
        url = await failed(client)
        before = await client.get(url)
        foreign = await stranger.request(method, url + path)
        nobodys = await stranger.request(method, NOBODY + path)
        assert (await client.get(url)).content == before.content
    assert (foreign.status_code, foreign.json()["type"]) == (404, "job-unknown")
    assert shape(foreign) == shape(nobodys)
    assert await count(pair, "select count(*) from jobs where tenant = 'other'") == 0


async def test_what_runs_for_others_cannot_be_cancelled(pair: Stack, tmp_path: Path) -> None:
    other = await make_a_key(pair.servers, "other", ["submit", "read", "admin"])
    async with pair.client() as client, pair.client(key=other) as stranger:
        work = JobClient(client, "own.loop", tmp_path)
        await work.begin()
        assert (await stranger.post(f"{work.url}/cancel")).status_code == 404
        assert (await client.get(work.url)).json()["cancel_requested_at"] is None
        work.gate.touch()
        assert (await work.ended())["state"] == "succeeded"


def shape(answer: httpx2.Response) -> object:
    """An answer without what differs from request to request."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    return answer.status_code, headers, answer.json() | {"request_id": ""}
