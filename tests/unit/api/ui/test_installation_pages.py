"""The pages of consumers and of the system: to operators alone, without secrets, and without believing a host's name."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.app import wrap_middleware
from api.installation.installation import Installation
from api.installation.server_watch import ServerWatch
from sluice.adapters.metrics import Metrics
from sluice.core.errors import NotConfigured, ServerAway
from sluice.core.installation import SeenConsumer
from sluice.core.queue_stats import LaneWork
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import AT, Clock, InMemoryApi, Record, build_state, settings
from tests.unit.api.ui.conftest import EVERYTHING, Browser, Seen
from tests.unit.api.ui.test_dashboard_pages import XSS

SECRET = "a-word-that-nobody-may-see"


def consumer(host: str, number: int, **more: Any) -> SeenConsumer:
    """A consumer that was heard of two seconds ago."""
    works = {"default": LaneWork(slots=8, per_second=1.5, running=3, memory=300 << 20)}
    seen = SeenConsumer(
        f"{number:08}-0000-4000-8000-000000000000", host, 7, "0.2.0", ["default", "heavy"], works,
        AT - timedelta(hours=2), AT - timedelta(seconds=2), 2, True,
    )  # fmt: skip
    return seen._replace(**more)


async def test_consumers_are_shown_by_host_with_what_they_have_in_hand(browser: Browser) -> None:
    browser.api.record.consumers = [
        consumer("host-b", 1),
        consumer("host-a", 2, works={}, release="0.1.0", silent_s=20),
        consumer("host-c", 3, lives=False, silent_s=90),
    ]
    seen = await browser.see("/consumers")
    assert seen.text.index("host-a") < seen.text.index("host-b") < seen.text.index("host-c")
    for words in ("3 of 8", "300 MiB", "silent", "away", "Several releases run: 0.1.0, 0.2.0."):
        assert words in seen.text


async def test_without_consumers_the_page_says_what_to_do(browser: Browser) -> None:
    assert "No consumer runs" in (await browser.see("/consumers")).text


async def test_a_large_fleet_is_shown_page_by_page(browser: Browser) -> None:
    browser.api.record.consumers = [
        consumer(f"worker-{number}.cluster.example.com", number) for number in range(120)
    ]
    path, hosts = "/consumers", list[str]()
    while path:
        answer = await browser.get(path)
        assert len(answer.content) < 60_000
        hosts += re.findall(r"worker-\d+", answer.text)
        older = [link for link in Seen(answer.text).all("a", "href") if "page=" in link]
        path = older[0].removeprefix("/ui") if older else ""
    assert len(hosts) == len(set(hosts)) == 120


async def test_names_of_hosts_and_lanes_stay_words(browser: Browser) -> None:
    browser.api.record.consumers = [consumer(XSS, 1, release=XSS, lanes=[XSS])]
    seen = await browser.see("/consumers")
    assert XSS in seen.text
    assert "img" not in {tag for tag, _ in seen.tags}


@pytest.mark.parametrize("path", ["/consumers", "/system"])
async def test_only_operators_see_it(browser: Browser, path: str) -> None:
    await browser.log_in("submit", "read", "payloads", "admin")
    assert (await browser.get(path)).status_code == 403
    assert f"/ui{path}" not in (await browser.see("/jobs")).all("a", "href")


async def test_the_system_is_shown_also_without_the_record(browser: Browser) -> None:
    assert "15.14" in (await browser.see("/system")).text
    browser.api.record.away = True
    assert "The record does not answer." in (await browser.see("/system")).text


async def answers() -> None:
    """As a server that is up."""


async def is_away() -> None:
    """As one that is not."""
    raise ServerAway("redis")


async def is_off() -> None:
    """As one that nobody has named."""
    raise NotConfigured("rabbitmq", "consumers pull")


async def test_servers_and_settings_are_shown_and_no_secret(record: Record, clock: Clock) -> None:
    urls = {
        name: f"x://{SECRET}@{name}" for name in ("postgres_url", "redis_url", "rabbitmq_url", "otlp_url")
    }
    chosen = settings(ui=True, key_pepper_other=f"{SECRET}{SECRET}", **urls)
    servers = ServerWatch({"postgresql": answers, "redis": is_away, "rabbitmq": is_off})
    state = build_state(record, chosen, clock, FakeCache())
    state = replace(state, servers=servers, installation=Installation(record, servers, chosen))
    transport = httpx2.ASGITransport(wrap_middleware(state, Metrics()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        browser = Browser(InMemoryApi(client, state, record, FakeCache(), Metrics(), ""))
        await browser.log_in(*EVERYTHING)
        seen = await browser.see("/system")
    assert SECRET not in str(seen.tags) + seen.text
    assert seen.text.count("hidden") == 6
    for words in ("SLUICE_POSTGRES_URL", "SLUICE_UI", "away", "off"):
        assert words in seen.text
