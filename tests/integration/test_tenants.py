"""No route shows or changes anything of another tenant: every one there is, with real servers and warm caches."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2
import pytest
import uuid_utils

from api.http.auth import ROUTE_SCOPES
from tests.support.job_client import SUM, WAIT, submit_and_wait
from tests.support.stack import Stack, make_a_key

SCOPES = ["submit", "read", "payloads", "admin", "operate"]
SCHEDULE: dict[str, Any] = {"cron": "0 0 1 1 *", "kind": "demo.sum", "input": {"values": [1]}}
SHARED = {
    ("GET", "/v1/kinds"), ("GET", "/v1/kinds/{kind}"), ("GET", "/v1/lanes"), ("GET", "/v1/consumers"), ("GET", "/v1/system"), ("GET", "/v1/slo"), ("POST", "/v1/lanes/{lane}/pause"),
    ("POST", "/v1/lanes/{lane}/resume"),
}  # fmt: skip
"""What is the same for every tenant."""
WHOLE = {
    ("POST", "/v1/jobs"), ("POST", "/v1/kinds/{kind}/jobs"), ("GET", "/v1/jobs"), ("POST", "/v1/jobs/poll"),
    ("POST", "/v1/jobs/cancel"), ("POST", "/v1/jobs/retry"), ("GET", "/v1/errors"), ("GET", "/v1/schedules"),
    ("POST", "/v1/schedules"), ("PUT", "/v1/schedules/{name}"), ("GET", "/v1/keys"), ("POST", "/v1/keys"), ("GET", "/v1/audit"),
    ("POST", "/v1/batches"), ("GET", "/v1/events"),
    ("GET", "/v1/bulk"), ("POST", "/v1/bulk"),
    ("GET", "/v1/webhooks"), ("POST", "/v1/webhooks"),
}  # fmt: skip
"""What names nothing that is there already, and is looked at below; any other route has to answer 404 for what is another's."""
NAMING = sorted(ROUTE_SCOPES.keys() - SHARED - WHOLE)


async def add_a_webhook(stack: Stack, tenant: str) -> str:
    """Put a webhook into the record that asks for nothing that happens: this machine may not be reached."""
    async with stack.sql() as record:
        made = await record.fetchval(
            "insert into webhook_endpoints (id, tenant, url, events, kinds) values (gen_random_uuid(), $1, 'https://hooks.example.com/',"
            " '{job.failed}', '{none}') returning id",
            tenant,
        )
    return str(made)


class Owner(NamedTuple):
    """A tenant that has one of everything, and another that has nothing. `ids` are the names of what there is, by the part of a path."""

    own: httpx2.AsyncClient
    other: httpx2.AsyncClient
    ids: dict[str, list[str]]


@asynccontextmanager
async def two_tenants(stack: Stack) -> AsyncIterator[Owner]:
    """Make what there is to see, and see it, so that memory and Redis have what they keep."""
    keys = [await make_a_key(stack.servers, tenant, SCOPES) for tenant in ("owner", "other")]
    async with stack.client(keys[0]) as own, stack.client(keys[1]) as other:
        finished = (await submit_and_wait(own)).json()["id"]
        waiting = (await own.post("/v1/jobs", json=SUM | {"options": {"delay_s": 3_600}})).json()["id"]
        await own.put("/v1/schedules/own", json=SCHEDULE)
        for job_id in (finished, waiting):
            for query in ("", "?timing=1"):
                assert (await own.get(f"/v1/jobs/{job_id}{query}")).status_code == 200
        batch = (await own.post("/v1/batches", json={"jobs": [SUM | {"options": {"delay_s": 3_600}}]})).json()
        act = (await own.post("/v1/bulk", json={"act": "delete", "filter": {"kind": "nobodys.kind"}})).json()
        assert (await own.get(f"/v1/bulk/{act['id']}?wait=20")).json()["state"] == "waiting"
        failed = await own.post("/v1/kinds/image.thumbnail/jobs?wait=20", json={"image": "AAAA"})
        assert failed.json()["state"] == "failed", failed.text
        (error,) = (await own.get("/v1/errors")).json()["errors"]
        ids = {
            "job_id": [finished, waiting],
            "batch_id": [batch["id"]],
            "act_id": [act["id"]],
            "fingerprint": [error["fingerprint"]],
            "name": ["own"],
            "key_id": [keys[0].split("_")[1]],
            "webhook_id": [await add_a_webhook(stack, "owner")],
        }
        yield Owner(own, other, ids)
        await own.post(f"/v1/bulk/{act['id']}/abort")  # a tenant has few at a time


SAME = {"x-request-id": "same"}
SHOWN = {
    "job_id": "/v1/jobs",
    "batch_id": "/v1/batches/{}",
    "act_id": "/v1/bulk/{}",
    "fingerprint": "/v1/errors",
    "name": "/v1/schedules/{}",
    "key_id": "/v1/keys",
    "webhook_id": "/v1/webhooks/{}",
}
"""Where its owner sees what a part of a path names."""


def unknown(part: str) -> str:
    """Make up a name of nothing."""
    by_uuid = ("job_id", "batch_id", "act_id", "webhook_id")
    return str(uuid_utils.uuid7()) if part in by_uuid else "nothing" + "0" * 5


VARYING = ("x-request-id", "date", "server-timing")


def bare(answer: httpx2.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What an answer says, without what differs from request to request."""
    headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
    return answer.status_code, answer.json() | {"request_id": ""}, headers


@pytest.mark.parametrize(("method", "template"), NAMING)
async def test_what_is_anothers_is_answered_like_what_is_not_there(
    shared_stack: Stack, method: str, template: str
) -> None:
    (part,) = re.findall(r"\{(\w+)\}", template)
    async with two_tenants(shared_stack) as there:
        for name in there.ids[part]:
            before = await there.own.get(SHOWN[part].format(name))
            for query in ("", "?timing=1"):
                urls = (template.format(**{part: each}) + query for each in (name, unknown(part)))
                body: dict[str, str] | None = {} if method in ("POST", "PUT") else None
                theirs, nobodys = [
                    await there.other.request(method, url, json=body, headers=SAME) for url in urls
                ]
                assert theirs.status_code == 404
                assert bare(theirs) == bare(nobodys)
            after = await there.own.get(SHOWN[part].format(name))
            assert (after.status_code, after.content) == (200, before.content)


def test_every_route_is_swept() -> None:
    assert ROUTE_SCOPES.keys() == SHARED | WHOLE | set(NAMING)
    assert {len(re.findall(r"\{(\w+)\}", template)) for _, template in NAMING} == {1}


async def test_lists_and_polls_show_nothing_of_another(shared_stack: Stack) -> None:
    async with two_tenants(shared_stack) as there:
        ids = there.ids["job_id"]
        for path, name in (
            ("/v1/jobs", "jobs"),
            ("/v1/schedules", "schedules"),
            ("/v1/errors", "errors"),
            ("/v1/webhooks", "webhooks"),
        ):
            assert (await there.other.get(path)).json()[name] == []
        for state in ("succeeded", "scheduled"):
            assert (await there.other.get("/v1/jobs", params={"state": state, "kind": "demo.sum"})).json()[
                "jobs"
            ] == []
        keys = (await there.other.get("/v1/keys?page_size=1000")).json()["keys"]
        assert not {key["id"] for key in keys} & {*there.ids["key_id"]}
        audit = (await there.other.get("/v1/audit?page_size=1000")).text
        assert not any(f"/{name}" in audit for names in there.ids.values() for name in names)
        polled = (await there.other.post("/v1/jobs/poll", json={"jobs": dict.fromkeys(ids, 0)})).json()
        assert (polled["jobs"], sorted(polled["unknown"])) == ([], sorted(ids))
        token = (await there.own.get("/v1/jobs?page_size=1")).json()["next_page_token"]
        refused = await there.other.get(f"/v1/jobs?page_size=1&page_token={token}")
        assert (refused.status_code, refused.json()["type"]) == (422, "invalid")


async def test_a_filter_changes_nothing_of_another(shared_stack: Stack) -> None:
    async with two_tenants(shared_stack) as there:
        for verb, wanted in (("cancel", {"kind": "demo.sum"}), ("retry", {})):
            done = await there.other.post(f"/v1/jobs/{verb}", json={"filter": wanted, "dry_run": False})
            assert (done.status_code, done.json()["matched"], done.json()["jobs"]) == (202, 0, [])
        waiting = await there.own.get(f"/v1/jobs/{there.ids['job_id'][1]}")
        assert waiting.json()["state"] == "scheduled"


async def test_keys_names_and_equal_work_belong_to_their_tenant(shared_stack: Stack) -> None:
    async with two_tenants(shared_stack) as there:
        made = [
            await client.post("/v1/jobs", json=SUM, headers=WAIT | {"idempotency-key": "same"})
            for client in (there.own, there.other)
        ]
        assert [each.headers.get("idempotent-replayed") for each in made] == [None, None]
        assert made[0].json()["id"] != made[1].json()["id"]
        bare_input = await asyncio.gather(
            *(
                client.post("/v1/kinds/demo.sum/jobs", json=SUM["input"])
                for client in (there.own, there.other)
            )
        )
        assert len({each.json()["id"] for each in bare_input}) == 2
        theirs = await there.other.put("/v1/schedules/own", json=SCHEDULE | {"cron": "0 0 2 2 *"})
        assert theirs.status_code == 201
        assert (await there.other.post("/v1/schedules", json=SCHEDULE | {"name": "own"})).status_code == 409
        assert (await there.own.get("/v1/schedules/own")).json()["cron"] == SCHEDULE["cron"]
        assert (await there.other.delete("/v1/schedules/own")).status_code == 204


async def test_an_administrator_of_one_tenant_touches_nothing_that_all_share(shared_stack: Stack) -> None:
    admin = await make_a_key(shared_stack.servers, "owner", [each for each in SCOPES if each != "operate"])
    async with shared_stack.client(admin) as client:
        for answer in (
            await client.get("/v1/lanes"),
            await client.post("/v1/lanes/default/pause", json={"reason": "mine"}),
            await client.post("/v1/lanes/default/resume"),
            await client.post("/v1/keys", json={"scopes": ["operate"]}),
        ):
            assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
            assert "scope operate" in answer.json()["detail"]
    async with shared_stack.client() as operator:
        lanes = (await operator.get("/v1/lanes")).json()["lanes"]
        assert lanes
        assert not any(lane["paused"] for lane in lanes)
        paused = await operator.post("/v1/lanes/heavy/pause", json={"reason": "the disk is full"})
        assert paused.json()["paused"]["reason"] == "the disk is full"
        assert (await operator.post("/v1/lanes/heavy/resume")).status_code == 200
        told = (await operator.get("/v1/audit?page_size=2")).json()["entries"]
        assert [(each["action"], each["object"]) for each in told] == [
            ("lane.resume", "lane/heavy"),
            ("lane.pause", "lane/heavy"),
        ]
