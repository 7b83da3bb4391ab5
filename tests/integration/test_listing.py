"""Lists, groups of errors and bulk changes on real servers and real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.pool import Database
from sluice.core.owner import Owner
from sluice.core.runtime.telemetry import Telemetry
from tests.support.job_client import SUM, JobClient, until_ended
from tests.support.make_jobs import ids_of, new_jobs
from tests.support.servers import settings_for
from tests.support.stack import Stack, make_a_key


@pytest.fixture
def tenant() -> str:
    """Make a tenant of the test's own."""
    return f"tenant-{uuid4().hex[:12]}"


@pytest.fixture
async def client(two_apis: Stack, tenant: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client of this tenant, at the first api."""
    async with two_apis.client(
        key=await make_a_key(two_apis.servers, tenant, ["submit", "read", "payloads"])
    ) as opened:
        yield opened


@asynccontextmanager
async def stranger(two_apis: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client of another tenant that may do everything."""
    key = await make_a_key(two_apis.servers, "stranger", ["submit", "read", "payloads", "admin"])
    async with two_apis.client(key=key) as opened:
        yield opened


async def store(two_apis: Stack, tenant: str, number: int, **changes: Any) -> list[str]:
    """Store so many jobs, to run later by default; return their ids, newest first."""
    database = Database(two_apis.servers.postgres.url, "tests", Telemetry(), size=1)
    store = PostgresJobStore(
        database, Owner(), settings_for(two_apis.servers, accept_budget_s=30, dispatch_due_s=0.01)
    )
    jobs = new_jobs(number, tenant=tenant, **(changes or {"delay_s": 3_600}))
    try:
        await store.accept(jobs)
    finally:
        await database.close()
    return ids_of(jobs)[::-1]


async def store_failed(two_apis: Stack, tenant: str, number: int, kind: str = "own.fails") -> list[str]:
    """Store so many jobs and let them fail; return their ids, newest first."""
    ids = await store(two_apis, tenant, number, kind=kind, input=b"{}", max_attempts=1)
    jobs = await two_apis.finished(ids)
    assert {job["state"] for job in jobs.values()} == {"failed"}
    return ids


async def list_jobs(client: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    """Return a page of the list."""
    answer = await client.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def change_in_bulk(client: httpx2.AsyncClient, what: str, **body: Any) -> dict[str, Any]:
    """Ask for a bulk change; return its answer."""
    answer = await client.post(f"/v1/jobs/{what}", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def test_2500_jobs_are_paged_through_once_each_while_others_come(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    ids = await store(two_apis, tenant, 2_500)
    paged = asyncio.Event()

    async def submit_more() -> int:
        sent = 0
        while not paged.is_set():
            assert (await client.post("/v1/jobs", json=SUM)).status_code == 202
            sent += 1
        return sent

    submitting = asyncio.create_task(submit_more())
    shown: list[str] = []
    pages, token = 0, None
    async with two_apis.client(key=client.headers["authorization"].split()[1], api=two_apis.apis[1]) as other:
        while pages == 0 or token:
            more: dict[str, str] = {"page_token": token} if token else {}
            page = await list_jobs((client, other)[pages % 2], page_size=100, **more)
            pages, token = pages + 1, page["next_page_token"]
            shown += [job["id"] for job in page["jobs"]]
            assert len(page["jobs"]) == 100 or token is None
    paged.set()
    assert await submitting > 0
    assert [job_id for job_id in shown if job_id in set(ids)] == ids
    assert len(shown) == len(set(shown))
    assert shown == sorted(shown, reverse=True)


async def test_what_is_asked_for_is_what_comes(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    first = (await client.post("/v1/jobs", json=SUM | {"options": {"tags": ["a", "b"]}})).json()
    done = await until_ended(client, first["links"]["self"])
    later = (await client.post("/v1/jobs", json=SUM | {"options": {"tags": ["b"], "delay_s": 60}})).json()
    (lost,) = await store_failed(two_apis, tenant, 1)
    error = (await client.get(f"/v1/jobs/{lost}")).json()["error"]
    for query, wanted in (
        ({}, [lost, later["id"], done["id"]]),
        ({"state": "succeeded"}, [done["id"]]),
        ({"state": ["scheduled", "failed"]}, [lost, later["id"]]),
        ({"kind": "demo.sum"}, [later["id"], done["id"]]),
        ({"tag": "b"}, [later["id"], done["id"]]),
        ({"tag": "a"}, [done["id"]]),
        ({"created_after": later["created_at"]}, [lost, later["id"]]),
        ({"created_before": later["created_at"]}, [done["id"]]),
        ({"error": error["fingerprint"]}, [lost]),
        ({"error": "0" * 16}, []),
    ):
        page = await list_jobs(client, **query)
        assert ([job["id"] for job in page["jobs"]], page["next_page_token"]) == (wanted, None), query
    (item,) = (await list_jobs(client, state="succeeded"))["jobs"]
    assert item == {name: value for name, value in done.items() if name != "result"}


async def test_a_job_is_found_by_what_is_in_it(client: httpx2.AsyncClient) -> None:
    made = [
        (await client.post("/v1/kinds/own.loop/jobs", json={"number": number})).json() for number in (1, 2, 1)
    ]
    assert [job["tags"] for job in made] == [["number=1"], ["number=2"], ["number=1"]]
    ended = [await until_ended(client, job["links"]["self"]) for job in made]
    assert [job["state"] for job in ended] == ["succeeded"] * 3
    page = await list_jobs(client, tag="number=1")
    assert [job["id"] for job in page["jobs"]] == [made[2]["id"], made[0]["id"]]
    kind = (await client.get("/v1/kinds/own.loop")).json()
    assert kind["searchable"] == ["number", "gate"]
    longest = await client.get("/v1/jobs", params={"tag": f"{'p' * 64}={'v' * 64}"})
    assert (longest.status_code, longest.json()["jobs"]) == (200, [])


async def test_tenants_see_and_change_nothing_of_each_other(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    mine = await store(two_apis, tenant, 3)
    (lost,) = await store_failed(two_apis, tenant, 1)
    token = (await list_jobs(client, page_size=1))["next_page_token"]
    async with stranger(two_apis) as other:
        theirs = (await other.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()["id"]
        assert [job["id"] for job in (await list_jobs(other))["jobs"]] == [theirs]
        assert (await other.get("/v1/errors")).json()["errors"] == []
        assert (await other.get("/v1/jobs", params={"page_token": token})).status_code == 422
        assert (await change_in_bulk(other, "cancel", filter={"kind": "demo.sum"}, dry_run=False))[
            "jobs"
        ] == [theirs]
        assert (await change_in_bulk(other, "retry", filter={}, dry_run=False))["jobs"] == []
    assert [job["id"] for job in (await list_jobs(client, page_token=token))["jobs"]] == mine
    assert {job["state"] for job in (await list_jobs(client, tag=[]))["jobs"]} == {"scheduled", "failed"}
    assert await two_apis.count("select count(*) from jobs where retry_of = $1", lost) == 0


async def test_300_failed_jobs_are_tried_again_after_a_dry_run(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    ids = await store_failed(two_apis, tenant, 300)
    (error,) = (await client.get("/v1/errors")).json()["errors"]
    assert (error["kind"], error["title"], error["count"], error["example"]) == (
        "own.fails", "LookupError", 300, ids[0],
    )  # fmt: skip
    wanted = {"error": error["fingerprint"]}
    dry = await change_in_bulk(client, "retry", filter=wanted)
    assert (dry["matched"], dry["changed"], dry["dry_run"], dry["jobs"], dry["more"]) == (
        300,
        0,
        True,
        ids,
        False,
    )
    assert await two_apis.count("select count(*) from jobs where retry_of = any($1::uuid[])", ids) == 0
    first, second = await asyncio.gather(
        *(change_in_bulk(client, "retry", filter=wanted, dry_run=False) for _ in range(2))
    )
    assert first["changed"] + second["changed"] == 300
    made = first["retries"] | second["retries"]
    assert sorted(made) == ids[::-1]
    rows = await two_apis.finished(made.values())
    assert {str(row["retry_of"]): job_id for job_id, row in rows.items()} == made
    assert {(row["state"], row["attempt"], row["max_attempts"]) for row in rows.values()} == {
        ("failed", 1, 1)
    }
    late = await change_in_bulk(client, "retry", filter=wanted | {"state": "failed"}, limit=1)
    assert (late["matched"], late["more"]) == (1, True)
    assert late["jobs"] == [max(made.values())]  # those made by the first are the only ones left
    assert await two_apis.count("select count(*) from jobs where retry_of = any($1::uuid[])", ids) == 300


async def test_failures_are_grouped_by_what_went_wrong(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    first, second = (
        await store_failed(two_apis, tenant, 2),
        await store_failed(two_apis, tenant, 3, "own.gives_up"),
    )
    found = (await client.get("/v1/errors")).json()
    assert (found["failures"], found["more"]) == (5, False)
    groups = [(each["kind"], each["type"], each["count"], each["example"]) for each in found["errors"]]
    assert groups == [
        ("own.gives_up", "gave-up", 3, second[0]),
        ("own.fails", "handler-error", 2, first[0]),
    ]
    for group in found["errors"]:
        page = await list_jobs(client, error=group["fingerprint"])
        assert [job["id"] for job in page["jobs"]] == (first if group["count"] == 2 else second)
        newest = (await client.get(f"/v1/jobs/{group['example']}")).json()
        assert group["newest_at"] == newest["finished_at"]
        assert (group["state"], sum(hour["count"] for hour in group["hours"])) == ("open", group["count"])
        assert {name: newest["error"][name] for name in ("type", "title", "detail", "fingerprint")} == {
            name: group[name] for name in ("type", "title", "detail", "fingerprint")
        }


async def test_what_fails_again_opens_an_error_that_was_resolved(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    await store_failed(two_apis, tenant, 1)
    admin = {"authorization": f"Bearer {await make_a_key(two_apis.servers, tenant, ['admin'])}"}
    (group,) = (await client.get("/v1/errors")).json()["errors"]
    url = f"/v1/errors/{group['fingerprint']}"
    refused = await client.post(f"{url}/resolve")
    assert (refused.status_code, refused.json()["type"]) == (403, "forbidden")
    resolved = (await client.post(f"{url}/resolve", headers=admin)).json()
    assert resolved == group | {"state": "resolved", "marked_at": resolved["marked_at"]}
    (again,) = await store_failed(two_apis, tenant, 1)
    (back,) = (await client.get("/v1/errors?state=open")).json()["errors"]
    newest = (await client.get(f"/v1/jobs/{again}")).json()
    assert back["back"] == {"at": newest["finished_at"], "version": 1}
    async with stranger(two_apis) as other:
        unknown = await other.post(f"{url}/ignore")
        assert (unknown.status_code, unknown.json()["type"]) == (404, "error-unknown")


async def test_waiting_and_running_jobs_are_cancelled_together(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str, tmp_path: Path
) -> None:
    waiting = await store(two_apis, tenant, 450)
    works = [JobClient(client, "own.loop", tmp_path) for _ in range(3)]
    for work in works:
        await work.begin()
        work.mark.unlink()
    running = sorted((work.url.split("/")[-1] for work in works), reverse=True)
    over = {"state": ["scheduled", "queued", "running"]}
    assert (await change_in_bulk(client, "cancel", filter=over))["jobs"] == running + waiting
    assert {job["state"] for job in (await list_jobs(client))["jobs"]} == {"running", "scheduled"}
    done = await change_in_bulk(client, "cancel", filter=over, dry_run=False)
    assert (done["matched"], done["changed"], done["jobs"]) == (453, 453, running + waiting)
    for work in works:
        job = await work.until_ended()  # the heartbeat is slower than the test: they were told over Redis
        assert (job["state"], job["result"]) == ("cancelled", None)
    assert (await client.get(f"/v1/jobs/{waiting[7]}")).json()["state"] == "cancelled"
    assert (await change_in_bulk(client, "cancel", filter=over, dry_run=False))["matched"] == 0


async def test_who_waits_for_a_job_hears_of_its_bulk_cancel(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str
) -> None:
    (job_id,) = await store(two_apis, tenant, 1)
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": "30"}))
    await two_apis.apis[0].until_metric("sluice_waiting_requests", 1)
    async with two_apis.client(key=client.headers["authorization"].split()[1], api=two_apis.apis[1]) as other:
        await change_in_bulk(other, "cancel", filter={"kind": "demo.sum"}, dry_run=False)
    assert (await asyncio.wait_for(waiting, 10)).json()["state"] == "cancelled"


@pytest.mark.parametrize("limit", [100, 1_000])
async def test_a_bulk_change_in_parts_reaches_everything(
    two_apis: Stack, client: httpx2.AsyncClient, tenant: str, limit: int
) -> None:
    ids = await store(two_apis, tenant, 250)
    changed: list[str] = []
    token: str | None = None
    while True:
        more: dict[str, str] = {"page_token": token} if token else {}
        done = await change_in_bulk(
            client, "cancel", filter={"kind": "demo.sum"}, dry_run=False, limit=limit, **more
        )
        changed, token = changed + done["jobs"], done["next_page_token"]
        if not done["more"]:
            break
    assert changed == ids
    assert {job["state"] for job in (await list_jobs(client, page_size=1_000))["jobs"]} == {"cancelled"}
