"""Jobs of the kinds in `tests/integration/kinds.py`, as a client sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from tests.support.waiting import until

SUM: dict[str, Any] = {"kind": "demo.sum", "input": {"values": [1, 2, 3]}}
KINDS = "sluice.kinds.demo_sum,tests.integration.kinds"
WAIT = {"Prefer": "wait=20"}


class JobClient:
    """A job of one of our own kinds, and what can be seen of it."""

    def __init__(self, client: httpx2.AsyncClient, kind: str, directory: Path) -> None:
        self.client, self.kind = client, kind
        self.gate, self.mark = directory / "gate", directory / "mark"
        self.url = ""

    async def submit(self, **options: Any) -> dict[str, Any]:
        """Submit it; return its first document."""
        given = {"gate": str(self.gate), "mark": str(self.mark)}
        answer = await self.client.post(
            "/v1/jobs", json={"kind": self.kind, "input": given, "options": options}
        )
        assert answer.status_code == 202, answer.text
        self.url = answer.json()["links"]["self"]
        return dict(answer.json())

    async def begin(self) -> None:
        """Submit it; return once its handler runs."""
        await self.submit()
        await until(lambda: self.mark.exists() and bool(self.mark.read_text()))

    async def until_ended(self) -> dict[str, Any]:
        """Return its last document."""
        return await until_ended(self.client, self.url)


async def until_ended(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    """Return the document once the job has finished; each answer comes when the job has changed."""
    job: dict[str, Any] = (await client.get(url)).json()
    while job["finished_at"] is None:
        job = (await client.get(url, params={"wait": "20"})).json()
    return job


async def submit_and_wait(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    """Submit, wait for the end, and return the answer."""
    answer = await client.post("/v1/jobs", json=SUM | body, headers=WAIT)
    assert answer.status_code == 200, answer.text
    return answer


async def submit_failing(client: httpx2.AsyncClient) -> str:
    """Submit a job that fails, and return its URL once it has."""
    job = (await submit_and_wait(client, kind="own.fails", input={})).json()
    assert job["state"] == "failed"
    return str(job["links"]["self"])
