"""Schedules over HTTP, in this process on the real record; and once through every process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import httpx2
import orjson
import pytest
from pydantic import BaseModel, SecretStr

from api.app import wrap_middleware
from api.building import build_state
from api.schedules.schedules import Scheduling
from infra.local.servers import Servers
from sluice.adapters.connections import open_connections
from sluice.adapters.metrics import Metrics
from sluice.adapters.request_stats import RequestStats
from sluice.core.owner import Owner
from sluice.core.registry import Registry
from sluice.core.runtime.telemetry import Telemetry
from sluice.handler import handler
from tests.integration.record.record_fixture import Record
from tests.support.servers import empty_postgres
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import until_found
from tests.unit.api.in_memory_api import add, add_once

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "cron": "30 3 * * 1-5",
    "timezone": "Europe/Berlin",
    "kind": "demo.sum",
    "input": {"values": [1, 2]},
}
URL = "/v1/schedules/nightly"
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a bad expression": ({"cron": "61 * * * *"}, "/cron", "Bad minute"),
    "seconds": ({"cron": "* * * * * *"}, "/cron", "five fields"),
    "one that never fires": ({"cron": "0 0 */31 2 MON#5"}, "/cron", "never fires"),
    "an unknown zone": ({"timezone": "Mars/Olympus"}, "/timezone", "Mars/Olympus"),
    "a bad name": ({"name": "Not a name"}, "/name", "name"),
    "an input that does not fit": ({"input": {"values": ["1"]}}, "/input/values/0", "integer"),
    "a bad option": ({"options": {"priority": "urgent"}}, "/options/priority", "high"),
    "a time of its own": ({"options": {"delay_s": 5}}, "/options/delay_s", "not permitted"),
    "an unknown lane": ({"options": {"lane": "fast"}}, "/options/lane", "default"),
    "an unknown policy": ({"catch_up": "some"}, "/catch_up", "one"),
    "an unknown field": ({"paused": True}, "/paused", "not permitted"),
    "nothing to do": ({"kind": None}, "/kind", "string"),
}


class Report(BaseModel):
    """What is to be reported, and about whom."""

    customer: str
    password: SecretStr = SecretStr("")


@handler("t.report", searchable=("customer",))
async def report(about: Report) -> Report:
    """Report nothing."""
    return about


class ScheduleApi:
    """An admin's client of the whole api, in this process on the real record."""

    def __init__(self, client: httpx2.AsyncClient, record: Record, scheduling: Scheduling) -> None:
        self.client, self.record, self.scheduling = client, record, scheduling

    async def create(self, **changes: Any) -> httpx2.Response:
        """Create a schedule like NIGHTLY."""
        return await self.client.post("/v1/schedules", json=NIGHTLY | changes)

    async def replace(self, name: str = "nightly", **changes: Any) -> httpx2.Response:
        """Create or replace it by its name."""
        return await self.client.put(f"/v1/schedules/{name}", json=NIGHTLY | changes)

    async def headers(self, tenant: str, *scopes: str) -> dict[str, str]:
        """Return headers with a key of somebody else."""
        key = await make_a_key(self.record._servers, tenant, list(scopes))
        return {"authorization": f"Bearer {key}"}


@pytest.fixture
async def api(shared_servers: Servers) -> AsyncIterator[ScheduleApi]:
    """Open the api on an empty record."""
    shared_servers.up(shared_servers.postgres)
    await empty_postgres(shared_servers)
    sql = await asyncpg.connect(shared_servers.postgres.url)
    record = Record(shared_servers, sql)
    await record.begin()
    async with open_connections(record.settings, "api", Owner(), Telemetry()) as connections:
        state = build_state(
            record.settings, Registry([add, add_once, report]), connections, Telemetry(), RequestStats()
        )
        headers = {
            "authorization": f"Bearer {await make_a_key(shared_servers, 'acme', ['admin', 'read', 'payloads'])}"
        }
        transport = httpx2.ASGITransport(wrap_middleware(state, Metrics()))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://sluice", headers=headers
        ) as client:
            yield ScheduleApi(client, record, state.scheduling)
    await record.database.close()
    await sql.close()


async def test_a_schedule_is_made_and_shown(api: ScheduleApi) -> None:
    made = await api.create(options={"tags": ["a"], "timeout_s": 5}, catch_up="all")
    assert (made.status_code, made.headers["location"]) == (201, URL)
    shown = made.json()
    created_at, next_at = (datetime.fromisoformat(shown.pop(each)) for each in ("created_at", "next_at"))
    assert shown == NIGHTLY | {
        "describes": "At 03:30 on Monday through Friday",
        "options": {"lane": "default", "priority": "normal", "max_attempts": 5, "timeout_s": 5.0, "deadline_s": None,
                    "tags": ["a"]},
        "catch_up": "all",
        "paused": False,
        "last_at": None,
        "last_job_id": None,
        "links": {"self": URL, "pause": f"{URL}/pause", "resume": f"{URL}/resume", "run": f"{URL}/run"},
    }  # fmt: skip
    assert created_at < next_at < created_at + timedelta(days=4)
    assert (next_at.minute, next_at.hour in (1, 2)) == (30, True)
    found = await api.client.get(URL)
    assert (found.status_code, found.content) == (200, made.content)
    assert found.headers["cache-control"] == "no-store"


async def test_white_space_in_an_expression_does_not_matter(api: ScheduleApi) -> None:
    assert (await api.create(cron="  30  3 * * 1-5 ")).json()["cron"] == "30 3 * * 1-5"


async def test_a_name_is_taken_once(api: ScheduleApi) -> None:
    made = await api.create()
    taken = await api.create(cron="0 0 1 1 *")
    assert (taken.status_code, taken.json()["type"]) == (409, "schedule-exists")
    assert "PUT" in taken.json()["detail"]
    assert (await api.client.get(URL)).content == made.content
    answers = await asyncio.gather(*(api.create(name="race") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize(("changes", "pointer", "word"), WRONG.values(), ids=WRONG.keys())
async def test_what_is_wrong_is_named_and_nothing_is_stored(
    api: ScheduleApi, changes: dict[str, Any], pointer: str, word: str
) -> None:
    for answer in (await api.create(**changes), await api.replace(**changes)):
        assert (answer.status_code, answer.json()["type"]) == (422, "invalid")
        assert pointer in [flaw["pointer"] for flaw in answer.json()["errors"]]
        assert word in str(answer.json()["errors"])
    assert (await api.client.get("/v1/schedules")).json()["schedules"] == []


async def test_what_is_no_such_body_is_refused(api: ScheduleApi) -> None:
    for body, status, kind in (
        (b"[]", 422, "invalid"),
        (b"{", 400, "malformed-json"),
        (orjson.dumps(NIGHTLY | {"kind": "no.such"}), 422, "kind-unknown"),
        (orjson.dumps(NIGHTLY | {"input": {"values": [1] * 1_500}}), 413, "too-large"),
    ):
        for method, url in (("POST", "/v1/schedules"), ("PUT", URL)):
            answer = await api.client.request(
                method, url, content=body, headers={"content-type": "application/json"}
            )
            assert (answer.status_code, answer.json()["type"]) == (status, kind)
    mismatch = await api.replace("other")
    assert [flaw["pointer"] for flaw in mismatch.json()["errors"]] == ["/name"]


async def test_put_makes_a_schedule_or_replaces_it(api: ScheduleApi) -> None:
    body = {name: value for name, value in NIGHTLY.items() if name != "name"}
    made = await api.client.put(URL, json=body)
    assert (made.status_code, made.headers["location"]) == (201, URL)
    same = await api.replace()
    assert (same.status_code, same.content) == (200, made.content)
    other = await api.replace(cron="0 0 29 2 *", kind="demo.pure", options={"priority": "low"})
    shown = other.json()
    assert (other.status_code, shown["kind"], shown["options"]["priority"]) == (200, "demo.pure", "low")
    assert shown["next_at"].startswith("2028-02-28T23:00")
    assert shown["created_at"] == made.json()["created_at"]


async def test_schedules_are_listed_page_by_page(api: ScheduleApi) -> None:
    for name in ("c", "a", "b"):
        await api.create(name=name)
    names, token = [], ""
    while token is not None:
        page = (await api.client.get("/v1/schedules", params={"page_size": 2, "page_token": token})).json()
        names.append([each["name"] for each in page["schedules"]])
        token = page["next_page_token"]
    assert names == [["a", "b"], ["c"]]
    assert all("input" not in each for each in page["schedules"])
    for query in ("page_size=0", "page_size=1001", "page_size=x", "page_size=²", "page_token=%00"):
        answer = await api.client.get(f"/v1/schedules?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?" + query.split("=")[0])


async def test_a_paused_schedule_has_no_next_tick_and_goes_on_with_one_to_come(api: ScheduleApi) -> None:
    made = (await api.create()).json()
    await api.record.sql.execute("update schedules set next_at = now() - interval '1 day'")
    paused = await api.client.post(f"{URL}/pause")
    assert (paused.status_code, paused.json()) == (200, made | {"paused": True, "next_at": None})
    assert (await api.client.post(f"{URL}/pause")).content == paused.content
    assert (await api.replace()).json()["paused"] is True
    resumed = await api.client.post(f"{URL}/resume")
    assert (resumed.status_code, resumed.json()) == (200, made)
    assert (await api.client.post(f"{URL}/resume")).content == resumed.content


async def test_its_jobs_are_found_by_what_is_in_its_input(api: ScheduleApi) -> None:
    made = await api.create(kind="t.report", input={"customer": "acme"}, options={"tags": ["a"]})
    assert made.json()["options"]["tags"] == ["a"]
    job = (await api.client.post(f"{URL}/run")).json()
    assert job["tags"] == ["a", "customer=acme", "schedule:nightly"]
    found = (await api.client.get("/v1/jobs", params={"tag": "customer=acme"})).json()["jobs"]
    assert [each["id"] for each in found] == [job["id"]]


async def test_secrets_of_its_input_are_kept_and_not_shown(api: ScheduleApi) -> None:
    secret = {"customer": "acme", "password": "canary"}
    made = await api.create(kind="t.report", input=secret)
    shown = (await api.client.get(URL)).json()
    assert made.json() == shown
    assert shown["input"] == {"customer": "acme", "password": "••••••"}
    assert "canary" not in made.text
    refused = await api.replace(kind="t.report", input=shown["input"])
    (flaw,) = refused.json()["errors"]
    assert (refused.status_code, flaw["pointer"], flaw["code"]) == (422, "/input/password", "hidden")
    assert orjson.loads(await api.record.sql.fetchval("select input from schedules")) == secret


async def test_a_schedule_is_run_by_hand(api: ScheduleApi) -> None:
    await api.create(options={"tags": ["a"]})
    await api.client.post(f"{URL}/pause")
    answer = await api.client.post(f"{URL}/run")
    job = answer.json()
    assert (answer.status_code, job["state"], job["tags"]) == (202, "queued", ["a", "schedule:nightly"])
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    shown = (await api.client.get(URL)).json()
    assert (shown["last_job_id"], shown["last_at"]) == (job["id"], None)
    assert shown["links"]["last_job"] == f"/v1/jobs/{job['id']}"


@pytest.mark.parametrize("verb", ["run", "resume"])
async def test_what_is_replaced_meanwhile_is_to_be_asked_for_again(
    api: ScheduleApi, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create()
    really = api.scheduling.find

    async def then_it_is_replaced(tenant: str, name: str) -> Any:
        found = await really(tenant, name)
        await api.replace(cron="0 0 * * *")
        return found

    monkeypatch.setattr(api.scheduling, "find", then_it_is_replaced)
    answer = await api.client.post(f"{URL}/{verb}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert await api.record.sql.fetchval("select count(*) from jobs") == 0


async def test_a_deleted_schedule_is_unknown(api: ScheduleApi) -> None:
    await api.create()
    gone = await api.client.delete(URL)
    assert (gone.status_code, gone.content) == (204, b"")
    await all_unknown(api, api.client.headers["authorization"], "nightly")


async def test_another_tenants_schedule_is_unknown_and_a_scope_is_needed(api: ScheduleApi) -> None:
    made = await api.create()
    stranger = await api.headers("other", "admin")
    await all_unknown(api, stranger["authorization"], "nightly")
    listed = await api.client.get("/v1/schedules", headers=stranger)
    assert listed.json() == {"schedules": [], "next_page_token": None}
    assert (await api.client.get(URL)).content == made.content
    plain = await api.headers("acme", "submit", "read")
    for method, path in (
        ("GET", "/v1/schedules"),
        ("POST", "/v1/schedules"),
        ("PUT", URL),
        ("POST", f"{URL}/run"),
    ):
        answer = await api.client.request(method, path, headers=plain)
        assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")


async def test_what_cannot_be_a_name_is_unknown(api: ScheduleApi) -> None:
    for name in ("A", "%00", "x" * 56):
        await all_unknown(api, api.client.headers["authorization"], name)


async def all_unknown(api: ScheduleApi, authorization: str, name: str) -> None:
    """Check that every request for this schedule is answered with 404."""
    ways = [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")]
    for method, path in ways:
        answer = await api.client.request(
            method, f"/v1/schedules/{name}{path}", headers={"authorization": authorization}
        )
        assert (answer.status_code, answer.json()["type"]) == (404, "schedule-unknown")


# Every process


async def test_ticks_make_jobs_that_succeed_one_each_with_two_consumers(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=2)
    async with bare_stack.client() as client:
        for name in ("first", "second"):
            made = await client.post("/v1/schedules", json=NIGHTLY | {"name": name})
            assert made.status_code == 201, made.text
        sql = await asyncpg.connect(bare_stack.servers.postgres.url)
        last = ""
        for ticks in range(1, 4):
            await sql.execute("update schedules set next_at = $1", datetime.now(UTC) - timedelta(seconds=1))
            enough = f"select count(*) >= {2 * ticks} from jobs where state = 'succeeded'"  # noqa: S608  a number
            await asyncio.wait_for(until_found(partial(sql.fetchval, enough)), 60)
            shown = (await client.get("/v1/schedules/first")).json()
            assert shown["last_job_id"] != last
            last = shown["last_job_id"]
        assert await sql.fetchval("select count(*) from jobs") == 6
        job = (await client.get(shown["links"]["last_job"])).json()
        await sql.close()
    assert (job["state"], job["result"], job["tags"]) == ("succeeded", {"total": 3}, ["schedule:first"])
    assert job["run_at"] == shown["last_at"]
