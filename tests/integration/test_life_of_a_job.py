"""A job from HTTP to its result, on real servers and real processes."""

from __future__ import annotations

import asyncio
import base64
import io
import signal
from contextlib import AsyncExitStack

import pytest
import redis.asyncio as redis
from PIL import Image

from tests.support.make_jobs import aged_id
from tests.support.servers import frozen
from tests.support.stack import Stack
from tests.support.waiting import answers, until_found

SUM = {"kind": "demo.sum", "input": {"values": [1, 2, 3]}}
WAIT = {"Prefer": "wait=20"}
NOBODY = f"/v1/jobs/{aged_id(0)}"


async def test_a_job_is_accepted_runs_and_shows_its_result(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
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


async def test_prefer_wait_answers_with_the_result_itself(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        answer = await client.post("/v1/jobs", json=SUM, headers=WAIT)
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["result"] == {"total": 6}


async def test_a_finished_job_is_not_sent_twice_to_a_client_that_has_it(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        first = await client.post("/v1/jobs", json=SUM, headers=WAIT)
        url = first.json()["links"]["self"]
        again = await client.get(url, headers={"If-None-Match": first.headers["etag"]})
        other = await client.get(url, headers={"If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")
    assert other.content == first.content


async def test_the_document_is_the_same_from_memory_from_redis_and_from_the_record(
    shared_stack: Stack,
) -> None:
    async with AsyncExitStack() as opened:
        more = await asyncio.gather(
            *(opened.enter_async_context(shared_stack.another_api()) for _ in range(2))
        )
        apis = [shared_stack.apis[0], *more]
        clients = [await opened.enter_async_context(shared_stack.client(api=each)) for each in apis]
        for client in clients:
            await client.get("/v1/kinds")  # from here on the key is known without the record
        url = (await clients[0].post("/v1/jobs", json=SUM, headers=WAIT)).json()["links"]["self"]
        with frozen(shared_stack.servers.postgres):
            from_redis = await clients[1].get(url)
            await _flush(shared_stack)
            from_memory = await clients[0].get(url)
        from_record = await clients[2].get(url)
    assert from_memory.status_code == 200
    assert from_memory.content == from_redis.content == from_record.content
    assert from_memory.headers["etag"] == from_redis.headers["etag"] == from_record.headers["etag"]


async def test_a_record_that_is_away_is_never_an_unknown_job_and_submits_say_when_to_come_again(
    shared_stack: Stack,
) -> None:
    async with (
        shared_stack.another_api(record_budget_s=1, accept_budget_s=2) as api,
        shared_stack.client(api=api) as client,
    ):
        await client.post("/v1/jobs", json=SUM)  # an open connection, or the next job would not even be sent
        with frozen(shared_stack.servers.postgres):
            refused, lost = await client.post("/v1/jobs", json=SUM), await client.get(NOBODY)
        assert (lost.status_code, lost.json()["type"]) == (503, "record-away")
        assert (refused.status_code, refused.json()["type"]) == (503, "outcome-unknown")
        assert int(lost.headers["retry-after"]) >= 1
        await until_found(lambda: answers(client, NOBODY, 404))
        assert (await client.post("/v1/jobs", json=SUM, headers=WAIT)).json()["result"] == {"total": 6}


async def test_the_result_alone_has_the_bytes_of_the_output(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        job = await client.post("/v1/jobs", json=SUM, headers=WAIT)
        result = await client.get(job.json()["links"]["result"])
    assert (result.status_code, result.content) == (200, b'{"total":6}')


async def test_the_result_of_an_unfinished_job_is_promised(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 30}})
        result = await client.get(job.json()["links"]["result"])
    assert result.status_code == 202
    assert "retry-after" in result.headers


async def test_a_wait_ends_with_what_is_known_when_its_time_is_up(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 30}})
        answer = await client.post(
            "/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 30}}, headers={"Prefer": "wait=1"}
        )
    assert job.status_code == 202
    assert answer.status_code == 202
    assert answer.json()["state"] in {"queued", "running"}


async def test_a_delayed_job_waits_and_then_runs(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        job = await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 1}})
        assert job.json()["state"] == "scheduled"
        rows = await shared_stack.finished([job.json()["id"]])
    row = rows[job.json()["id"]]
    assert row["state"] == "succeeded"
    assert (row["started_at"] - row["created_at"]).total_seconds() >= 1


async def test_an_overdue_job_is_never_started(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        shared_stack.consumers[0].signal(signal.SIGSTOP)
        job = await client.post("/v1/jobs", json=SUM | {"options": {"deadline_s": 0.2}})
        await asyncio.sleep(0.3)
        shared_stack.consumers[0].signal(signal.SIGCONT)
        rows = await shared_stack.finished([job.json()["id"]])
        document = (await client.get(job.json()["links"]["self"])).json()
    assert rows[job.json()["id"]]["fence"] == 0
    assert document["state"] == "failed"
    assert document["error"]["type"] == "deadline-passed"


async def test_every_lane_and_place_works_at_once(shared_stack: Stack) -> None:
    work = [
        SUM,
        {"kind": "demo.sleep", "input": {"seconds": 0.1}},
        {"kind": "demo.spin", "input": {"seconds": 0.1}},
    ]
    async with shared_stack.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/jobs", json=each) for each in work * 5))
        rows = await shared_stack.finished([answer.json()["id"] for answer in answers])
    assert {row["state"] for row in rows.values()} == {"succeeded"}
    assert {row["lane"] for row in rows.values()} == {"default", "heavy"}


async def test_identical_pure_work_runs_once_and_its_result_is_used_again(shared_stack: Stack) -> None:
    work = {"kind": "image.thumbnail", "input": {"image": _picture(), "width": 32, "height": 32}}
    async with shared_stack.client() as client:
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


async def test_a_client_that_leaves_frees_its_waiting_place(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 60}})
        url = job.json()["links"]["self"]
        while (await client.get(url, params={"wait": "5"})).json()["state"] != "running":
            pass
        waiting = asyncio.create_task(client.get(url, params={"wait": "50"}))
        await shared_stack.apis[0].until_metric("sluice_waiting_requests", 1)
        waiting.cancel()
        await shared_stack.apis[0].until_metric("sluice_waiting_requests", 0)


async def test_progress_is_seen_while_the_job_runs(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.spin", "input": {"seconds": 4}})
        document = job.json()
        async with asyncio.timeout(60):
            while not document["progress"] and document["state"] != "succeeded":
                document = (await client.get(document["links"]["self"], params={"wait": "5"})).json()
    assert document["state"] == "running"
    assert 0 <= document["progress"]["percent"] <= 100


@pytest.mark.parametrize("express", [True, False])
async def test_both_ways_in_answer_alike(shared_stack: Stack, express: bool) -> None:
    async with shared_stack.another_api(express=express) as api, shared_stack.client(api=api) as client:
        await client.get("/v1/kinds")
        job = await client.post("/v1/jobs", json=SUM)
        assert job.status_code == 202
        await shared_stack.finished([job.json()["id"]])
        found = await client.get(job.json()["links"]["self"])
        figures = (await client.get(f"{api.private_url}/metrics")).text
        theirs = (await client.get(f"{shared_stack.consumers[0].private_url}/metrics")).text
    assert found.json()["result"] == {"total": 6}
    assert 'route="/v1/jobs",status="202"' in figures
    flights = [
        (figures, "accept"),
        (figures, "publish"),
        (theirs, "claim"),
        (theirs, "settle"),
        (theirs, "announce"),
    ]
    assert not [
        flight for text, flight in flights if f'sluice_batch_items_sum{{flight="{flight}"}}' not in text
    ]


def _picture() -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((200, 100)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


async def _flush(stack: Stack) -> None:
    client = redis.Redis.from_url(stack.servers.redis.url)
    await client.flushall()
    await client.aclose()
