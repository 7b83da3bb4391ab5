"""The dashboard over real processes: log in, look, act; and in a browser, where there is one."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from infra.local.servers import Servers
from tests.browser.__main__ import BROWSERS, PAGES, SETTINGS
from tests.browser.belongings import fill
from tests.support.stack import Stack, stack_on_empty_servers
from tests.support.waiting import until_found

SAME = {"sec-fetch-site": "same-origin"}
ACTS_DONE = (
    *("schedule.run", "schedule.pause", "schedule.resume", "schedule.delete", "lane.resume", "bulk.abort"),
    *("webhook.test", "webhook.verify", "error.resolve", "error.ignore", "error.reopen"),
)
"""What is written down of acts: that they answer as ever does not show that they are done."""


@pytest.fixture
def stack_with_pages(shared_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Start an api with the dashboard, and a consumer."""
    with stack_on_empty_servers(shared_servers, tmp_path, **SETTINGS) as stack:
        asyncio.run(stack.start())
        yield stack


async def log_in(client: httpx2.AsyncClient, key: str) -> None:
    answer = await client.post("/ui/login", data={"key": key}, headers=SAME)
    assert answer.status_code == 303


async def test_all_pages_show_what_is_there_and_do_what_they_say(stack_with_pages: Stack) -> None:
    stack = stack_with_pages
    pages = await fill(stack)
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as client:
        await log_in(client, stack.key)
        for path in (*PAGES, *pages.values()):
            answer = await client.get(f"/ui{path}")
            assert answer.status_code == 200, (path, answer.text)
            assert len(answer.content) < 60_000
            assert "<script>document" not in answer.text
        assert "9007199254740991" in (await client.get(f"/ui{pages['done']}")).text
        assert "the bank does not know" in (await client.get(f"/ui{pages['failed']}")).text
        assert "the licence server is down" in (await client.get(f"/ui{pages['queued']}")).text
        for path in (
            f"{pages['failed']}/retry", f"{pages['running']}/cancel", f"{pages['done']}/delete", "/lanes/heavy/resume",
            "/schedules/nightly/run", "/schedules/nightly/pause", "/schedules/nightly/resume", "/schedules/nightly/delete",
            f"{pages['act-waiting']}/abort", f"{pages['webhook']}/test", f"{pages['webhook']}/verify",
        ):  # fmt: skip
            done = await client.post(f"/ui{path}", headers=SAME)
            assert done.status_code == 303, (path, done.text)
        assert (await client.get(f"/ui{pages['done']}")).status_code == 404
        group = re.search(r"/ui(/errors/[0-9a-f]+)/resolve", (await client.get("/ui/errors")).text)
        assert group
        for verb in ("resolve", "ignore", "reopen"):
            assert (await client.post(f"/ui{group[1]}/{verb}", headers=SAME)).status_code == 303
        done = await client.post("/ui/kinds/demo.sum/run", data={"f.values": "[1, 2]"}, headers=SAME)
        assert done.headers["location"].startswith("/ui/jobs/")
        await _make_what_forms_make(client)
        await _see_the_consumer(stack, client)
        audit = (await client.get("/ui/audit")).text
        for act in ACTS_DONE:
            assert act in audit, act


async def _see_the_consumer(stack: Stack, client: httpx2.AsyncClient) -> None:
    """The consumer reports what it has in hand, and holds, with its lease."""
    async with stack.client() as api:

        async def reported() -> bool:
            (consumer,) = (await api.get("/v1/consumers")).json()["consumers"]
            lanes = {lane["name"]: lane for lane in consumer["lanes"]}
            return (
                consumer["alive"]
                and (consumer["memory"] or 0) > 20 << 20
                and lanes["default"]["running"] == 0
            )

        await until_found(reported)
        system = (await api.get("/v1/system")).json()
    assert {each["name"]: each["state"] for each in system["servers"]} == dict.fromkeys(
        ("postgresql", "redis", "rabbitmq"), "up"
    )
    assert {"jobs", "consumers", "schedules"} <= {table["name"] for table in system["record"]["tables"]}
    assert system["record"]["revision"] == system["record"]["newest_revision"]
    assert "MiB" in (await client.get("/ui/consumers")).text
    assert "PostgreSQL" in (await client.get("/ui/system")).text


async def _make_what_forms_make(client: httpx2.AsyncClient) -> None:
    """Make a schedule, a webhook and a key, each by its form."""
    schedule = {"name": "by-form", "cron": "@daily", "timezone": "UTC", "kind": "demo.sum", "input": '{"values":[1]}', "catch_up": "one"}  # fmt: skip
    made = await client.post("/ui/schedules/new", data=schedule, headers=SAME)
    assert made.headers["location"] == "/ui/schedules?done=schedule-kept", made.text
    edited = await client.post(
        "/ui/schedules/by-form/edit", data=schedule | {"cron": "@hourly"}, headers=SAME
    )
    assert edited.status_code == 303, edited.text
    assert "@hourly" in (await client.get("/ui/schedules/by-form/edit")).text
    hook = {"url": "http://127.0.0.1:9/by-form", "event.job.failed": "yes"}
    made = await client.post("/ui/webhooks/make", data=hook, headers=SAME)
    assert made.status_code == 201, made.text
    assert "whsec_" in made.text
    found = re.findall(r'/ui(/webhooks/[0-9a-f-]{36})"', made.text)[-1]
    assert "whsec_" not in (await client.get("/ui/webhooks")).text
    rotated = await client.post(f"/ui{found}/rotate", headers=SAME)
    assert (rotated.status_code, "whsec_" in rotated.text) == (201, True)
    assert "whsec_" not in (await client.get(f"/ui{found}")).text
    assert (await client.post(f"/ui{found}/delete", headers=SAME)).status_code == 303
    assert (await client.get(f"/ui{found}")).status_code == 404
    made = await client.post("/ui/keys/make", data={"scope.read": "yes", "name": "by-form"}, headers=SAME)
    key_id = made.text.partition("slc_")[2].partition("_")[0]
    rotated = await client.post(f"/ui/keys/{key_id}/rotate", data={"overlap_s": "60"}, headers=SAME)
    assert (rotated.status_code, rotated.text.count("slc_")) == (201, 1)
    for chosen in ("csv", "ndjson"):
        sent = await client.get(f"/ui/jobs/export?format={chosen}")
        assert sent.text.count("orders.settle") >= 20


async def test_a_browser_shows_a_page(stack_with_pages: Stack, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("there is no Chromium here")
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
    ]
    process = await asyncio.create_subprocess_exec(
        browser, *words, f"{stack_with_pages.url}/ui/login", stdout=-1, stderr=asyncio.subprocess.DEVNULL
    )
    shown, _ = await process.communicate()
    assert b"<h1>Log in</h1>" in shown
