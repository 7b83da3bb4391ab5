"""Webhooks that prove that they want what is sent, through real processes: until then they are told nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from infra.local.servers import Servers
from sluice.core.webhook import MOST_VERIFICATIONS
from tests.support.job_client import submit_and_wait
from tests.support.stack import Stack, make_a_key, stack_on_empty_servers
from tests.support.waiting import until_found
from tests.support.webhook_receiver import WebhookReceiver, answer, signed_by, webhook_receiver

HOOKS = "/v1/webhooks"
ALLOWED = {"webhook_allow": "127.0.0.0/8"}
SCOPES = ["submit", "read", "payloads", "admin"]


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api and a consumer that may send to this machine."""
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("proofs"), **ALLOWED) as running:
        asyncio.run(running.start())
        yield running


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a tenant of its own."""
    key = await make_a_key(stack.servers, f"tenant-{uuid4()}", SCOPES)
    async with stack.client(key) as opened:
        yield opened


async def shown(client: httpx2.AsyncClient, hook: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"{HOOKS}/{hook['id']}")).json()
    return found


async def until(client: httpx2.AsyncClient, hook: dict[str, Any], name: str) -> dict[str, Any]:
    """The webhook, once a field of it says something."""

    async def says() -> bool:
        return (await shown(client, hook))[name] is not None

    await until_found(says)
    return await shown(client, hook)


def told(receiver: WebhookReceiver) -> list[str]:
    return [orjson.loads(each.body)["type"] for each in receiver.received]


async def test_who_sends_no_challenge_back_is_told_nothing_and_is_asked_again_by_route(
    client: httpx2.AsyncClient,
) -> None:
    async with webhook_receiver() as receiver:
        made = await client.post(HOOKS, json={"url": receiver.url, "verify": True})
        hook = made.json()
        assert (made.status_code, hook["verified_at"]) == (201, None)
        assert hook["disabled_why"] == "its URL is not verified"
        failed = await until(client, hook, "verification_failed")
        assert failed["verification_failed"] == "answered 200 with no webhook-challenge-response"
        await submit_and_wait(client)
        refused = await client.post(f"{HOOKS}/{hook['id']}/test")
        assert (refused.status_code, refused.json()["type"]) == (409, "webhook-disabled")
        (sent,) = (await client.get(f"{HOOKS}/{hook['id']}/tries")).json()["tries"]
        assert (sent["event"], sent["status"], sent["answer"]) == ("webhook.verify", 200, "ok")
        assert sent["outcome"] == failed["verification_failed"]
        receiver.proves = True
        again = await client.post(f"{HOOKS}/{hook['id']}/verify")
        assert again.status_code == 202
        good = await until(client, hook, "verified_at")
        assert (good["disabled_at"], good["disabled_why"], good["verification_failed"]) == (None, None, None)
        assert set(told(receiver)) == {"webhook.verify"}
        assert all(signed_by(hook["secret"], each) for each in receiver.received)
        assert receiver.received[-1].headers["webhook-id"] == again.json()["id"]
        challenges = [each.headers["webhook-challenge"] for each in receiver.received]
        assert len(set(challenges)) == len(challenges)
        assert min(map(len, challenges)) >= 43
        seen = len(receiver.received)
        await submit_and_wait(client)
        assert "webhook-challenge" not in (await receiver.until(seen + 1))[-1].headers
        assert told(receiver)[seen:] == ["job.succeeded"]


async def test_a_new_url_has_to_prove_itself_again(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver() as receiver, webhook_receiver() as other:
        receiver.proves = True
        hook = (await client.post(HOOKS, json={"url": receiver.url, "verify": True})).json()
        await until(client, hook, "verified_at")
        moved = await client.put(f"{HOOKS}/{hook['id']}", json={"url": other.url, "verify": True})
        assert (moved.json()["verified_at"], moved.json()["disabled_why"]) == (
            None,
            "its URL is not verified",
        )
        await until(client, hook, "verification_failed")
        await submit_and_wait(client)
        assert set(told(receiver) + told(other)) == {"webhook.verify"}


async def test_a_tenant_cannot_have_sluice_ask_all_the_time(client: httpx2.AsyncClient) -> None:
    nobody = {"url": "http://127.0.0.1:1/"}
    hook = (await client.post(HOOKS, json=nobody)).json()
    asked = [await client.post(f"{HOOKS}/{hook['id']}/verify") for _ in range(MOST_VERIFICATIONS + 1)]
    assert [each.status_code for each in asked] == [202] * MOST_VERIFICATIONS + [429]
    assert asked[-1].json()["type"] == "too-many-verifications"
    assert asked[-1].headers["retry-after"] == "600"
    await client.delete(f"{HOOKS}/{hook['id']}")
    for refused in (
        await client.post(HOOKS, json=nobody | {"verify": True}),
        await client.post(f"{HOOKS}/{(await client.post(HOOKS, json=nobody)).json()['id']}/verify"),
    ):
        assert (refused.status_code, refused.json()["type"]) == (429, "too-many-verifications")


async def test_an_operator_has_every_new_url_verified_and_leaves_those_that_are_there(
    servers: Servers, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    async with webhook_receiver() as receiver, webhook_receiver() as silent:
        receiver.proves = True
        with Stack(servers, before, **ALLOWED) as stack:
            await stack.start(consumers=0)
            async with stack.client() as client:
                old = (await client.post(HOOKS, json={"url": silent.url, "tags": ["none"]})).json()
        with Stack(servers, after, webhook_verify="true", **ALLOWED) as stack:
            await stack.start()
            async with stack.client() as client:
                kept = (await client.put(f"{HOOKS}/{old['id']}", json={"url": silent.url})).json()
                assert (kept["disabled_at"], kept["verified_at"]) == (None, None)
                hook = (await client.post(HOOKS, json={"url": receiver.url, "verify": False})).json()
                assert hook["disabled_why"] == "its URL is not verified"
                await until(client, hook, "verified_at")
                moved = (await client.put(f"{HOOKS}/{hook['id']}", json={"url": silent.url})).json()
                assert moved["disabled_why"] == "its URL is not verified"
                assert (await until(client, hook, "verification_failed"))["disabled_at"]
                assert told(silent) == ["webhook.verify"]


async def test_what_ended_before_is_not_told_to_a_url_that_proves_itself(client: httpx2.AsyncClient) -> None:
    async with webhook_receiver(answer(503)) as before, webhook_receiver() as receiver:
        receiver.proves = True
        hook = (await client.post(HOOKS, json={"url": before.url})).json()
        await submit_and_wait(client)
        await before.until(1)
        put = await client.put(f"{HOOKS}/{hook['id']}", json={"url": receiver.url, "verify": True})
        assert put.status_code == 200, put.text
        await until(client, hook, "verified_at")
        job = (await submit_and_wait(client)).json()
        await receiver.until(2)
        assert told(receiver) == ["webhook.verify", "job.succeeded"]
        assert orjson.loads(receiver.received[1].body)["data"]["id"] == job["id"]
        found = (await client.get(f"{HOOKS}/{hook['id']}/tries")).json()["tries"]
        assert (found[-1]["event"], found[-1]["state"]) == ("job.succeeded", "failed")
