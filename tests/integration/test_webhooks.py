"""Webhooks through real processes: who registers one is told of every job that ends, signed, and again until it arrives."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from infra.local.servers import Servers
from tests.support.job_client import SUM, submit_and_wait
from tests.support.stack import Stack, make_a_key, stack_on_empty_servers
from tests.support.waiting import until_found
from tests.support.webhook_receiver import OK, WebhookReceiver, answer, signed_by, webhook_receiver

HOOKS = "/v1/webhooks"
ALLOWED = {"webhook_allow": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api and a consumer that may send to this machine."""
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("hooks"), **ALLOWED) as running:
        asyncio.run(running.start())
        yield running


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a tenant of its own, so that it has no other webhook."""
    key = await make_a_key(stack.servers, f"tenant-{uuid4()}", ["submit", "read", "payloads", "admin"])
    async with stack.client(key) as opened:
        yield opened


async def register(client: httpx2.AsyncClient, receiver: WebhookReceiver, **more: Any) -> dict[str, Any]:
    """A webhook that leads there."""
    made = await client.post(HOOKS, json={"url": receiver.url} | more)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    assert made.headers["location"] == f"{HOOKS}/{found['id']}"
    return found


async def tries(client: httpx2.AsyncClient, hook: dict[str, Any]) -> list[dict[str, Any]]:
    """What was sent, newest first."""
    found: list[dict[str, Any]] = (await client.get(f"{HOOKS}/{hook['id']}/tries")).json()["tries"]
    return found


async def until_state(client: httpx2.AsyncClient, hook: dict[str, Any], state: str) -> dict[str, Any]:
    """The newest delivery, once it is in this state."""

    async def is_there() -> bool:
        return [each["state"] for each in await tries(client, hook)][:1] == [state]

    await until_found(is_there)
    return (await tries(client, hook))[0]


async def test_a_job_that_ends_is_told_once_signed_and_as_it_is_shown(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        hook = await register(client, receiver)
        job = (await submit_and_wait(client)).json()
        (came, *_) = await receiver.until(1)
        assert came.path == "/hook"
        assert came.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert came.headers["content-type"] == "application/json"
        assert signed_by(hook["secret"], came)
        assert abs(int(came.headers["webhook-timestamp"]) - time.time()) < 60
        told = orjson.loads(came.body)
        assert (told["type"], told["timestamp"]) == ("job.succeeded", job["finished_at"])
        shown = {name: value for name, value in job.items() if name != "result"}
        places = ("queue_position", "eta", "waiting_on")
        assert {name: value for name, value in told["data"].items() if name not in places} == {
            name: value for name, value in shown.items() if name not in places
        }
        sent = await until_state(client, hook, "delivered")
        assert (sent["id"], sent["job_id"]) == (came.headers["webhook-id"], job["id"])
        assert (sent["tries"], sent["status"], sent["answer"], sent["due"]) == (1, 200, "ok", None)
        await asyncio.sleep(1)
        assert len(receiver.received) == 1


async def test_only_what_was_asked_for_is_told(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        await register(client, receiver, tags=["told"])
        await register(client, receiver, events=["job.cancelled"])
        await submit_and_wait(client)
        later = SUM | {"options": {"delay_s": 3_600}}
        cancelled = (await client.post("/v1/jobs", json=later)).json()["id"]
        await client.post(f"/v1/jobs/{cancelled}/cancel")
        tagged = (await client.post("/v1/jobs", json=SUM | {"options": {"tags": ["told"]}})).json()["id"]
        came = await receiver.until(2)
        told = {(orjson.loads(each.body)["type"], orjson.loads(each.body)["data"]["id"]) for each in came}
        assert told == {("job.cancelled", cancelled), ("job.succeeded", tagged)}


async def test_what_fails_comes_again_with_the_same_id_until_it_is_taken(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver(answer(503, body=b"not now"), OK) as receiver:
        hook = await register(client, receiver)
        await submit_and_wait(client)
        await receiver.until(1)
        waiting = await until_state(client, hook, "waiting")
        assert (waiting["status"], waiting["answer"], waiting["tries"]) == (503, "not now", 1)
        first, second = await receiver.until(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert (await until_state(client, hook, "delivered"))["tries"] == 2


async def test_a_submit_names_who_is_told_of_its_job_alone(stack: Stack, client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        hook = await register(client, receiver, tags=["never"])
        await submit_and_wait(client)
        named = SUM | {"options": {"webhook": hook["id"]}}
        one = (await client.post("/v1/jobs", json=named)).json()
        many = await client.post("/v1/batches", json={"jobs": [named, SUM, named]})
        made = [item["job"]["id"] for item in many.json()["items"]]
        whole = await client.post("/v1/batches", json={"jobs": [named], "atomic": True})
        wanted = {one["id"], made[0], made[2], whole.json()["items"][0]["job"]["id"]}
        came = await receiver.until(4)
        assert {orjson.loads(each.body)["data"]["id"] for each in came} == wanted
        other = await make_a_key(stack.servers, "stranger", ["submit", "read", "payloads"])
        async with stack.client(other) as stranger:
            refused = await stranger.post("/v1/jobs", json=named)
        assert (refused.status_code, refused.json()["type"]) == (422, "invalid")
        assert refused.json()["errors"][0]["pointer"] == "/options/webhook"
        items = (
            await client.post("/v1/batches", json={"jobs": [SUM, SUM | {"options": {"webhook": "x"}}]})
        ).json()["items"]
        assert [item["status"] for item in items] == [202, 422]
        atomic = await client.post(
            "/v1/batches", json={"jobs": [SUM, SUM | {"options": {"webhook": "x"}}], "atomic": True}
        )
        assert atomic.status_code == 422
        await asyncio.sleep(1)
        assert len(receiver.received) == 4


async def test_one_that_is_gone_is_told_nothing_more_until_it_is_put_again(
    client: httpx2.AsyncClient,
) -> None:
    async with webhook_receiver(answer(410), OK) as receiver:
        hook = await register(client, receiver)
        await submit_and_wait(client)
        failed = await until_state(client, hook, "failed")
        shown = (await client.get(f"{HOOKS}/{hook['id']}")).json()
        assert shown["disabled_why"] == "it answered 410"
        refused = await client.post(f"{HOOKS}/{hook['id']}/test")
        assert (refused.status_code, refused.json()["type"]) == (409, "webhook-disabled")
        await client.put(f"{HOOKS}/{hook['id']}", json={"url": receiver.url})
        again = await client.post(f"{HOOKS}/{hook['id']}/redeliver", json={"delivery": failed["id"]})
        assert (again.status_code, again.json()) == (202, {"count": 1})
        first, second = await receiver.until(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == failed["id"]


async def test_what_goes_nowhere_is_given_up_though_another_endpoint_is_slow(
    client: httpx2.AsyncClient,
) -> None:
    async with webhook_receiver(b"") as silent, webhook_receiver(answer(410)) as gone:
        slow, over = await register(client, silent), await register(client, gone)
        await client.post("/v1/batches", json={"jobs": [SUM] * 8})

        async def all_failed() -> bool:
            found = await tries(client, over)
            return [each["state"] for each in found] == ["failed"] * 8

        await until_found(all_failed)
        waiting = [each for each in await tries(client, slow) if each["state"] == "waiting"]
        assert waiting
        assert not any(each["tries"] for each in waiting)


async def test_a_test_comes_signed_by_both_secrets_while_one_is_replaced(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        hook = await register(client, receiver)
        rotated = (await client.post(f"{HOOKS}/{hook['id']}/rotate", json={})).json()
        assert rotated["secret"] != hook["secret"]
        assert rotated["old_until"] is not None
        sent = await client.post(f"{HOOKS}/{hook['id']}/test")
        assert sent.status_code == 202
        (came,) = await receiver.until(1)
        assert orjson.loads(came.body)["type"] == "webhook.test"
        assert came.headers["webhook-id"] == sent.json()["id"]
        assert signed_by(hook["secret"], came)
        assert signed_by(rotated["secret"], came)
        assert (await client.delete(f"{HOOKS}/{hook['id']}")).status_code == 204
        assert (await client.get(f"{HOOKS}/{hook['id']}")).json()["type"] == "webhook-unknown"


async def test_a_body_or_an_address_that_does_not_fit_is_refused_with_where_and_why(
    client: httpx2.AsyncClient,
) -> None:
    good = {"url": "http://127.0.0.1:1/"}
    for body, pointer in (
        ({}, "/url"),
        ({"url": 5}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "http://localhost@127.0.0.1:1/"}, "/url"),
        ({"url": "https://nowhere.invalid/"}, "/url"),
        (good | {"events": []}, "/events"),
        (good | {"events": ["job.running"]}, "/events/0"),
        (good | {"kinds": [""]}, "/kinds/0"),
        (good | {"secret": "mine"}, "/secret"),
    ):
        refused = await client.post(HOOKS, json=body)
        assert (refused.status_code, refused.json()["type"]) == (422, "invalid"), body
        assert refused.json()["errors"][0]["pointer"] == pointer
    hook = (await client.post(HOOKS, json=good)).json()
    for query in ("page_size=0", "page_token=x", "other=1"):
        assert (await client.get(f"{HOOKS}/{hook['id']}/tries?{query}")).status_code == 422
    for body in (
        {},
        {"delivery": "x", "since": "2026-01-01T00:00:00Z"},
        {"since": 5},
        {"since": "0001-01-01T00:00:00+14:00"},
    ):
        refused = await client.post(f"{HOOKS}/{hook['id']}/redeliver", json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"], body
    none = await client.post(f"{HOOKS}/{hook['id']}/redeliver", json={"delivery": "nothing"})
    assert (none.status_code, none.json()) == (202, {"count": 0})
    assert hook["secret"] not in (await client.get(HOOKS)).text


async def test_no_secret_is_in_the_record_or_in_a_log(stack: Stack, client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        hook = await register(client, receiver)
        await submit_and_wait(client)
        await until_state(client, hook, "delivered")
    secret = hook["secret"].removeprefix("whsec_")
    async with stack.sql() as record:
        for table in ("webhook_endpoints", "webhook_deliveries", "audit"):
            rows = str([tuple(row) for row in await record.fetch(f"select * from {table}")])  # noqa: S608  of the test
            assert secret not in rows
            assert base64.b64decode(secret).hex() not in rows
    assert secret not in "".join(each.log.read_text() for each in (*stack.apis, *stack.consumers))


async def test_a_try_of_a_consumer_that_was_killed_is_made_again_by_another(
    servers: Servers, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, **ALLOWED) as stack:
        await stack.start(consumers=2)
        async with webhook_receiver() as receiver, stack.client() as client:
            receiver.delay_s = 3
            await register(client, receiver)
            await submit_and_wait(client)
            await receiver.until(1)
            stack.consumers[0].kill()
            stack.consumers[1].kill()
            receiver.delay_s = 0
            async with stack.sql() as record:
                assert await record.fetchval("select done_at from webhook_deliveries") is None
                await record.execute("update webhook_deliveries set due = now(), taken_until = null")
            stack.add_consumer()
            first, second = await receiver.until(2)
            assert first.headers["webhook-id"] == second.headers["webhook-id"]
            assert first.body == second.body
