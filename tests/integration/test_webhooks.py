"""Webhooks through real processes: who registers one is told of every job that ends, signed, and again until it arrives."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from infra.local.servers import Servers
from tests.support.job_client import submit_and_wait
from tests.support.stack import Stack, make_a_key, stack_on_empty_servers
from tests.support.waiting import until_found
from tests.support.webhook_receiver import Received, WebhookReceiver, webhook_receiver

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
    return found


def signed_by(secret: str, received: Received) -> bool:
    """Check a signature as Standard Webhooks says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = received.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    wanted = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return wanted in headers["webhook-signature"].split(" ")


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
