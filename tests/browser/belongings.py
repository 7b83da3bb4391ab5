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
        act = {"act": "retry", "filter": {"kind": "orders.settle"}, "canary": 1}
        (await client.post("/v1/bulk", json=act)).raise_for_status()
        hook_id = (await client.get("/v1/webhooks")).json()["webhooks"][0]["id"]
        act_id = (await client.get("/v1/bulk")).json()["acts"][0]["id"]
    return {
        "webhook": f"/webhooks/{hook_id}", "act": f"/bulk/{act_id}",
        "done": f"/jobs/{made[0]}", "failed": f"/jobs/{made[1]}", "retrying": f"/jobs/{made[6]}",
        "running": f"/jobs/{running}", "queued": f"/jobs/{queued}",
        "scheduled": f"/jobs/{later}", "hostile-failed": f"/jobs/{hostile[0]}", "hostile": f"/jobs/{hostile[1]}",
        "again": f"/kinds/orders.settle?from={made[1]}",
    }  # fmt: skip


async def _submit(
    client: httpx2.AsyncClient, kind: str, given: object, tags: list[str], **more: object
) -> str:
    answer = await client.post(
        "/v1/jobs", json={"kind": kind, "input": given, "options": {"tags": tags, **more}}
    )
    answer.raise_for_status()
    return str(answer.json()["id"])
