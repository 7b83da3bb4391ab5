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

SAME = {"sec-fetch-site": "same-origin"}


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
            f"{pages['act']}/abort", f"{pages['webhook']}/test",
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
        audit = (await client.get("/ui/audit")).text
        assert "schedule.pause" in audit


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
