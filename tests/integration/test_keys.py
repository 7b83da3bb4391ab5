"""Keys of a tenant through real processes: what is made works at once, and what ends, ends everywhere."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx2

from tests.integration.test_tenants import SCHEDULE
from tests.support.job_client import SUM, submit_and_wait
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import until_found

KEYS = "/v1/keys"
FRESH_S = 1


async def status_of(client: httpx2.AsyncClient) -> int:
    return (await client.get("/v1/kinds")).status_code


async def is_refused(client: httpx2.AsyncClient) -> bool:
    return await status_of(client) == 401


async def test_a_key_is_made_used_rotated_and_revoked_everywhere(bare_stack: Stack) -> None:
    for _ in range(2):
        bare_stack.add_api(key_fresh_s=FRESH_S)
    await asyncio.gather(*(api.ready() for api in bare_stack.apis))
    admin_key = await make_a_key(bare_stack.servers, "acme", ["read", "admin"])
    here, there = bare_stack.apis
    async with bare_stack.client(admin_key) as admin:
        made = (await admin.post(KEYS, json={"scopes": ["read"], "name": "reader"})).json()
        rotated = (await admin.post(f"{KEYS}/{made['id']}/rotate", json={})).json()
        old, new = made["key"], rotated["key"]
        async with bare_stack.client(old, here) as first, bare_stack.client(old, there) as second:
            assert [await status_of(each) for each in (first, second)] == [200, 200]
            assert (await first.get(KEYS)).status_code == 403
            assert (await admin.delete(f"{KEYS}/{made['id']}")).status_code == 204
            assert await status_of(first) == 401
            await until_found(partial(is_refused, second))
        async with bare_stack.client(new, there) as third:
            assert await status_of(third) == 200
        listed = {key["id"]: key for key in (await admin.get(KEYS)).json()["keys"]}
        assert listed[made["id"]]["revoked_at"] is not None
        assert listed[made["id"]]["last_used_at"] is not None
        assert listed[rotated["id"]]["usable"]
        own = admin_key.split("_")[1]
        assert (await admin.delete(f"{KEYS}/{own}")).json()["type"] == "last-admin-key"
        assert (await admin.delete(f"{KEYS}/{own}?last=true")).status_code == 204
        assert await status_of(admin) == 401
    async with bare_stack.sql() as record:
        assert made["key"].split("_")[2] not in str(await record.fetch("select * from api_keys"))
    for api in bare_stack.apis:
        assert made["key"].split("_")[2] not in api.log.read_text()


async def test_who_did_what_is_told_to_administrators(shared_stack: Stack) -> None:
    keys = [
        await make_a_key(shared_stack.servers, "audited", scopes)
        for scopes in (["admin", "submit"], ["submit", "read"])
    ]
    boss, worker = (key.split("_")[1] for key in keys)
    async with shared_stack.client(keys[0]) as admin, shared_stack.client(keys[1]) as plain:
        ids = [(await submit_and_wait(admin)).json()["id"] for _ in range(2)]
        await admin.put("/v1/schedules/own", json=SCHEDULE, headers={"x-request-id": "the-first"})
        for client, job_id in zip((admin, plain), ids, strict=True):
            assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 204
        later = (await plain.post("/v1/jobs", json=SUM | {"options": {"delay_s": 3_600}})).json()["id"]
        for dry_run in (True, False):
            wanted = {"filter": {"state": "scheduled"}, "dry_run": dry_run}
            assert (await plain.post("/v1/jobs/cancel", json=wanted)).json()["jobs"] == [later]
        assert (await plain.get("/v1/audit")).status_code == 403
        told, token = [], ""
        while token is not None:
            page = (await admin.get("/v1/audit", params={"page_size": 2, "page_token": token})).json()
            told += page["entries"]
            token = page["next_page_token"]
    acts = [(each["key_id"], each["action"], each["object"]) for each in told]
    assert acts == [
        (worker, "jobs.cancel", "jobs"),
        (boss, "job.delete", f"job/{ids[0]}"),
        (boss, "schedule.create", "schedule/own"),
        (None, "key.create", f"key/{worker}"),
        (None, "key.create", f"key/{boss}"),
    ]
    assert told[0]["detail"]["filter"] == {"state": ["scheduled"]}
    assert told[0]["detail"]["changed"] == 1
    assert told[2]["detail"]["request_id"] == "the-first"


async def test_two_administrators_that_revoke_each_other_do_not_lock_the_tenant_out(
    bare_stack: Stack,
) -> None:
    bare_stack.add_api()
    await bare_stack.apis[0].ready()
    for _ in range(5):
        keys = [await make_a_key(bare_stack.servers, "acme", ["admin"]) for _ in range(2)]
        ids = [key.split("_")[1] for key in keys]
        async with bare_stack.client(keys[0]) as first, bare_stack.client(keys[1]) as second:
            await asyncio.gather(first.get(KEYS), second.get(KEYS))  # from here on the keys are known
            answers = await asyncio.gather(
                first.delete(f"{KEYS}/{ids[1]}"), second.delete(f"{KEYS}/{ids[0]}")
            )
        assert sorted(each.status_code for each in answers) in ([204, 401], [204, 409])
        async with bare_stack.sql() as record:
            assert await record.fetchval("select count(*) from api_keys where revoked_at is null") == 1
            await record.execute("update api_keys set revoked_at = now()")
