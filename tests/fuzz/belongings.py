"""What the owner has when the requests begin: one of everything that a path can name, each with the mark."""

from __future__ import annotations

from typing import Any

import httpx2

MARK = "owners-own-words"
"""Stands in whatever is the owner's, and nowhere else."""
WAIT = {"Prefer": "wait=20"}
LATER = {"delay_s": 86_400}
Known = dict[str, list[str]]


async def make_belongings(client: httpx2.AsyncClient, webhook: str) -> Known:
    """Make it all; return the names by the part of a path that they are."""
    echo = {"kind": "fuzz.echo", "input": {"text": MARK}, "options": {"tags": [MARK]}}
    failing = {"kind": "fuzz.fails", "input": {"name": MARK}}
    finished, failed = [await _made(client, "/v1/jobs", each) for each in (echo, failing)]
    waiting = await _made(client, "/v1/jobs", echo | {"options": {"tags": [MARK], **LATER}})
    batch = await _made(client, "/v1/batches", {"jobs": [echo, echo | {"options": LATER}]})
    act = await _made(client, "/v1/bulk", {"act": "delete", "filter": {"tag": f"{MARK}-none"}})
    hook = {"url": webhook, "kinds": ["fuzz.fails"], "tags": [MARK]}
    schedule = {"cron": "0 0 1 1 *", "kind": "fuzz.echo", "input": {"text": MARK}}
    (await client.put("/v1/schedules/theirs", json=schedule)).raise_for_status()
    (error,) = (await client.get("/v1/errors")).json()["errors"]
    return {
        "job_id": [finished["id"], failed["id"], waiting["id"]],
        "batch_id": [batch["id"]],
        "act_id": [act["id"]],
        "webhook_id": [(await _made(client, "/v1/webhooks", hook))["id"]],
        "key_id": [(await _made(client, "/v1/keys", {"scopes": ["read"], "name": MARK}))["id"]],
        "fingerprint": [error["fingerprint"]],
        "name": ["theirs"],
    }


async def _made(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers=WAIT)
    answer.raise_for_status()
    return dict(answer.json())
