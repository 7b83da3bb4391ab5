"""A job from HTTP to its result, on real servers and real processes."""

from __future__ import annotations

import asyncio
import base64
import io

import httpx
import orjson
import pytest
from PIL import Image

from tests.stack import Stack

SUM = {"kind": "demo.sum", "input": {"values": [1, 2, 3]}}


async def test_a_job_is_accepted_runs_and_shows_its_result(stack: Stack) -> None:
    async with stack.client() as client:
        accepted = await client.post("/v1/jobs", json=SUM)
        assert accepted.status_code == 202
        assert accepted.headers["location"] == accepted.json()["links"]["self"]
        assert int(accepted.headers["retry-after"]) >= 1
        finished = await client.get(accepted.headers["location"], params={"wait": "20"})
        while finished.json()["state"] != "succeeded":
            finished = await client.get(accepted.headers["location"], params={"wait": "20"})
    assert finished.json()["result"] == {"total": 6}
    assert finished.json()["attempt"] == 1
    assert not finished.headers["etag"].startswith("W/")


async def test_prefer_wait_answers_with_the_result_itself(stack: Stack) -> None:
    async with stack.client() as client:
        answer = await client.post("/v1/jobs", json=SUM, headers={"Prefer": "wait=20"})
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["result"] == {"total": 6}


async def test_a_finished_job_is_not_sent_twice_to_a_client_that_has_it(stack: Stack) -> None:
    async with stack.client() as client:
        first = await client.post("/v1/jobs", json=SUM, headers={"Prefer": "wait=20"})
        url = first.json()["links"]["self"]
        again = await client.get(url, headers={"If-None-Match": first.headers["etag"]})
        other = await client.get(url, headers={"If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")
    assert other.content == first.content


async def test_the_document_is_the_same_from_memory_from_redis_and_from_the_record(stack: Stack) -> None:
    async with stack.client() as client:
        first = await client.post("/v1/jobs", json=SUM, headers={"Prefer": "wait=20"})
        url = first.json()["links"]["self"]
        from_memory = await client.get(url)
        other = stack.add_api()
        await other.ready()
        stack.url = other.private_url  # only to name the port below
    async with stack.client() as second:
        second.base_url = httpx.URL(_public_url(stack))
        from_redis = await second.get(url)
        await _flush(stack)
        third = stack.add_api()
        await third.ready()
        second.base_url = httpx.URL(_public_url(stack))
        from_record = await second.get(url)
    assert from_memory.content == from_redis.content == from_record.content
    assert from_memory.headers["etag"] == from_redis.headers["etag"] == from_record.headers["etag"]


async def test_the_result_alone_has_the_bytes_of_the_output(stack: Stack) -> None:
    async with stack.client() as client:
        job = await client.post("/v1/jobs", json=SUM, headers={"Prefer": "wait=20"})
        result = await client.get(job.json()["links"]["result"])
    assert (result.status_code, result.content) == (200, b'{"total":6}')


async def test_the_result_of_an_unfinished_job_is_promised(stack: Stack) -> None:
    async with stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 30}})
        result = await client.get(job.json()["links"]["result"])
    assert result.status_code == 202
    assert "retry-after" in result.headers


async def test_a_wait_ends_with_what_is_known_when_its_time_is_up(stack: Stack) -> None:
    async with stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 30}})
        answer = await client.post(
            "/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 30}}, headers={"Prefer": "wait=1"}
        )
    assert job.status_code == 202
    assert answer.status_code == 202
    assert answer.json()["state"] in {"queued", "running"}


async def test_a_delayed_job_waits_and_then_runs(stack: Stack) -> None:
    async with stack.client() as client:
        job = await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 1}})
        assert job.json()["state"] == "scheduled"
        rows = await stack.finished([job.json()["id"]])
    row = rows[job.json()["id"]]
    assert row["state"] == "succeeded"
    assert (row["started_at"] - row["created_at"]).total_seconds() >= 1


async def test_an_overdue_job_is_never_started(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        job = await client.post("/v1/jobs", json=SUM | {"options": {"deadline_s": 0.2}})
        await asyncio.sleep(0.3)
        await bare_stack.add_consumer().ready()
        rows = await bare_stack.finished([job.json()["id"]])
        document = (await client.get(job.json()["links"]["self"])).json()
    assert rows[job.json()["id"]]["fence"] == 0
    assert document["state"] == "failed"
    assert document["error"]["type"] == "deadline-passed"


async def test_every_lane_and_place_works_at_once(stack: Stack) -> None:
    work = [
        SUM,
        {"kind": "demo.sleep", "input": {"seconds": 0.1}},
        {"kind": "demo.spin", "input": {"seconds": 0.1}},
    ]
    async with stack.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/jobs", json=each) for each in work * 5))
        rows = await stack.finished([answer.json()["id"] for answer in answers])
    assert {row["state"] for row in rows.values()} == {"succeeded"}
    assert {row["lane"] for row in rows.values()} == {"default", "heavy"}


async def test_identical_pure_work_runs_once_and_its_result_is_used_again(stack: Stack) -> None:
    work = {"kind": "image.thumbnail", "input": {"image": _picture(), "width": 32, "height": 32}}
    async with stack.client() as client:
        answers = await asyncio.gather(
            *(client.post("/v1/jobs", json=work, headers={"Prefer": "wait=30"}) for _ in range(10))
        )
        again = await client.post("/v1/jobs", json=work)
        fresh = await client.post("/v1/jobs", json=work | {"options": {"cache": "off"}})
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["id"] for answer in [*answers, again]} == {answers[0].json()["id"]}
    assert again.status_code == 200
    assert fresh.json()["id"] != again.json()["id"]
    picture = Image.open(io.BytesIO(base64.b64decode(again.json()["result"]["image"])))
    assert max(picture.size) == 32


async def test_a_client_that_leaves_frees_its_waiting_place(stack: Stack) -> None:
    async with stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 60}})
        url = job.json()["links"]["self"]
        while (await client.get(url)).json()["state"] != "running":
            await asyncio.sleep(0.05)
        waiting = asyncio.create_task(client.get(url, params={"wait": "50"}))
        await _waiting_requests(stack, 1)
        waiting.cancel()
        await _waiting_requests(stack, 0)


async def test_progress_is_seen_while_the_job_runs(stack: Stack) -> None:
    async with stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.spin", "input": {"seconds": 4}})
        document = job.json()
        async with asyncio.timeout(20):
            while not document["progress"] and document["state"] != "succeeded":
                document = (await client.get(document["links"]["self"], params={"wait": "5"})).json()
    assert document["state"] == "running"
    assert 0 <= document["progress"]["percent"] <= 100


@pytest.mark.parametrize("express", ["true", "false"])
async def test_both_ways_in_answer_alike(bare_stack: Stack, express: str) -> None:
    bare_stack._settings |= {"express": express}
    await bare_stack.start(consumers=1)
    async with bare_stack.client() as client:
        await client.get("/v1/kinds")
        job = await client.post(
            "/v1/jobs", content=orjson.dumps(SUM), headers={"Content-Type": "application/json"}
        )
        assert job.status_code == 202
        await bare_stack.finished([job.json()["id"]])
        found = await client.get(job.json()["links"]["self"])
    assert found.json()["result"] == {"total": 6}


def _picture() -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((200, 100)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _public_url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.apis[-1]._environment['SLUICE_API_PORT']}"


async def _flush(stack: Stack) -> None:
    import redis.asyncio as redis

    client = redis.Redis.from_url(stack.servers.redis.url)
    await client.flushall()
    await client.aclose()


async def _waiting_requests(stack: Stack, count: int) -> None:
    async with asyncio.timeout(10):
        while (await stack.apis[0].figures())["sluice_waiting_requests"] != count:
            await asyncio.sleep(0.05)
