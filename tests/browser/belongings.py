"""Jobs, pauses and groups of errors, so that every page of the dashboard has something to show."""

from __future__ import annotations

import httpx2

from tests.browser.kinds import SCRIPT
from tests.support.stack import Stack

ORDERS = [
    {"order_id": 4711, "customer": "ada@example.com", "gift": True, "lines": [{"tea": 2}]},
    *({"order_id": 4712 + each, "customer": "unknown@example.com"} for each in range(5)),
    *({"order_id": 4720 + each, "customer": "slow@example.com"} for each in range(3)),
    *({"order_id": 4730 + each, "customer": f"customer-{each}@example.com"} for each in range(20)),
]


async def fill(stack: Stack) -> dict[str, str]:
    """Submit jobs, wait for those that end, pause a lane; return the pages of single things by what they are."""
    async with stack.client() as client:
        made = [await _submit(client, "orders.settle", order, ["nightly"]) for order in ORDERS]
        hostile = [
            await _submit(
                client, "hostile.words", {"order_id": 1, "customer": SCRIPT, "gift": gift}, [SCRIPT[:60]]
            )
            for gift in (True, False)
        ]
        ended = [each for each in [*made, *hostile] if each not in made[6:9]]
        await stack.finished(ended)
        running = await _submit(
            client, "orders.settle", {"order_id": 9, "customer": "grace", "delay_s": 300}, []
        )
        await client.post("/v1/lanes/heavy/pause", json={"reason": "the licence server is down until noon"})
        queued = await _submit(client, "demo.spin", {"seconds": 1}, ["nightly"])
        later = await _submit(client, "demo.sum", {"values": [1]}, [], delay_s=3_600)
        schedule = {
            "name": "nightly",
            "cron": "30 3 * * 1-5",
            "timezone": "Europe/Berlin",
            "kind": "demo.sum",
            "input": {"values": [1]},
        }
        (await client.post("/v1/schedules", json=schedule)).raise_for_status()
        hook = {"url": "http://127.0.0.1:9/hook", "events": ["job.failed"]}
        (await client.post("/v1/webhooks", json=hook)).raise_for_status()
        hook_id = (await client.get("/v1/webhooks")).json()["webhooks"][0]["id"]
        (await client.post(f"/v1/webhooks/{hook_id}/test")).raise_for_status()
        acts = await _act_on_many(client)
        await _leave_traces(client)
    return {
        "webhook": f"/webhooks/{hook_id}", **{f"act-{each}": f"/bulk/{act_id}" for each, act_id in acts.items()},
        "done": f"/jobs/{made[0]}", "failed": f"/jobs/{made[1]}", "retrying": f"/jobs/{made[6]}",
        "running": f"/jobs/{running}", "queued": f"/jobs/{queued}",
        "scheduled": f"/jobs/{later}", "hostile-failed": f"/jobs/{hostile[0]}", "hostile": f"/jobs/{hostile[1]}",
        "again": f"/kinds/orders.settle?from={made[1]}",
    }  # fmt: skip


async def _act_on_many(client: httpx2.AsyncClient) -> dict[str, str]:
    """Begin bulk acts, and wait until each has come to an end of its own; return their ids by their states."""
    asked: list[dict[str, object]] = [
        {"act": "retry", "filter": {"kind": "hostile.words"}, "canary": 1, "dry_run": False},
        {"act": "delete", "filter": {"tag": "order_id=4749"}, "dry_run": False},
        {"act": "retry", "filter": {"kind": "orders.settle"}, "canary": 1},
    ]
    acts = dict[str, str]()
    for each in asked:
        begun = await client.post("/v1/bulk", json=each)
        begun.raise_for_status()
        act = (await client.get(f"/v1/bulk/{begun.json()['id']}?wait=20")).json()
        acts[act["state"]] = act["id"]
    return acts


async def _leave_traces(client: httpx2.AsyncClient) -> None:
    """Make a key that ends and one that is revoked, a schedule that is paused, and run one."""
    named = {"name": "the shop", "scopes": ["submit", "read"], "expires_days": 10}
    (await client.post("/v1/keys", json=named)).raise_for_status()
    lost = await client.post("/v1/keys", json={"name": "a lost laptop", "scopes": ["read"]})
    (await client.delete(f"/v1/keys/{lost.json()['id']}")).raise_for_status()
    hourly = {"name": "hourly", "cron": "@hourly", "kind": "demo.sum", "input": {"values": [1, 2]}}
    (await client.post("/v1/schedules", json=hourly)).raise_for_status()
    (await client.post("/v1/schedules/hourly/pause")).raise_for_status()
    (await client.post("/v1/schedules/nightly/run")).raise_for_status()


async def _submit(
    client: httpx2.AsyncClient, kind: str, given: object, tags: list[str], **more: object
) -> str:
    answer = await client.post(
        "/v1/jobs", json={"kind": kind, "input": given, "options": {"tags": tags, **more}}
    )
    answer.raise_for_status()
    return str(answer.json()["id"])
