"""A running stack under load, watched by a real Prometheus: what is asked of it is there, and an alert reaches its receiver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any, NamedTuple

import httpx2
import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.local.ports import LOOPBACK
from infra.local.programs import find
from infra.local.servers import Servers
from infra.observability.dashboards import GRAFANA, narrow
from tests.support.load import Load
from tests.support.prometheus import FILES, Alertmanager, Prometheus
from tests.support.stack import Process, Stack, stack_on_empty_servers
from tests.support.waiting import until

ONLY_IN_TROUBLE = {
    "Alerts": "no alert fires while all is well",
    "Replaced": "hosts are replaced after 250,000 jobs, or when something went wrong",
    "Blocked": "no shipped kind blocks its event loop",
    "Stuck": "no shipped kind goes on after its job is over",
    "Quarantine": "no shipped kind blocks or kills shared hosts",
}
"""Panels that are empty in a sound system, and why."""

OF_PROMETHEUS = {"up", "ALERTS"}
NAME = re.compile(r"\b(?:sluice|process|python)[_:][a-z0-9_:]+|\bup\b|\bALERTS\b")
PANELS = [
    (f"{described['name']}: {panel['title']}: {legend}", panel["title"], narrow(query))
    for described in yaml.safe_load((GRAFANA / "panels.yml").read_text())
    for panel in described["panels"]
    if not isinstance(panel, str)
    for legend, query in panel["queries"].items()
]


class Watched(NamedTuple):
    """A stack, and who watches it; `calls` are the bodies that Alertmanager posts, with the path."""

    stack: Stack
    prometheus: Prometheus
    calls: Queue[tuple[str, dict[str, Any]]]


@contextlib.contextmanager
def receiver() -> Iterator[tuple[str, Queue[tuple[str, dict[str, Any]]]]]:
    """Listen on loopback to what Alertmanager posts."""
    calls: Queue[tuple[str, dict[str, Any]]] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            calls.put((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer((LOOPBACK, 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}", calls
        server.shutdown()


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api and a consumer whose record is verified every second."""
    directory = tmp_path_factory.mktemp("stack")
    with stack_on_empty_servers(shared_servers, directory, verify_s=1) as running:
        asyncio.run(running.start())
        yield running


@pytest.fixture(scope="module")
def watched(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The same, watched."""
    directory = tmp_path_factory.mktemp("watching")
    with receiver() as (url, calls):
        alertmanager = Alertmanager(directory / "alertmanager", url)
        targets = {"sluice-api": private_ports(stack.apis), "sluice-consumer": private_ports(stack.consumers)}
        prometheus = Prometheus(directory / "prometheus", targets, alertmanager)
        try:
            alertmanager.start()
            prometheus.start()
            yield Watched(stack, prometheus, calls)
        finally:
            prometheus.kill()
            alertmanager.kill()


def private_ports(processes: list[Process]) -> list[str]:
    """Where these are scraped."""
    return [each.private_url.removeprefix("http://") for each in processes]


async def exposed(stack: Stack) -> str:
    """All that both processes say to a scrape."""
    async with httpx2.AsyncClient() as client:
        found = [await client.get(f"{each.private_url}/metrics") for each in stack.apis + stack.consumers]
    return "".join(each.text for each in found)


def rules() -> list[dict[str, str]]:
    """Every rule of every file."""
    files = [yaml.safe_load(path.read_text()) for path in sorted((FILES / "prometheus/rules").iterdir())]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


async def test_rules_and_dashboards_ask_for_nothing_that_no_process_shows(stack: Stack) -> None:
    shown = set(OF_PROMETHEUS) | {rule["record"] for rule in rules() if "record" in rule}
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", await exposed(stack), re.MULTILINE):
        shown |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if kind == "histogram" else {name}
    asked = [query for _, _, query in PANELS] + [rule["expr"] for rule in rules()]
    assert {name for query in asked for name in NAME.findall(query)} - shown == set()


async def test_what_is_shown_is_named_as_prometheus_wants_it(stack: Stack) -> None:
    command = [str(find("promtool")), "check", "metrics"]
    done = await asyncio.to_thread(
        subprocess.run, command, input=await exposed(stack), capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if line.startswith("sluice_")] == []


async def test_every_panel_shows_something_of_a_stack_under_load(watched: Watched) -> None:
    unseen = {name: query for name, title, query in PANELS if title not in ONLY_IN_TROUBLE}
    unseen |= {rule["record"]: rule["record"] for rule in rules() if "record" in rule}

    def look() -> bool:
        for name, query in list(unseen.items()):
            if any(not math.isnan(value) for value in watched.prometheus.ask(concrete(query))):
                del unseen[name]
        return not unseen

    async with Load(watched.stack).running(clients=4) as load, watched.stack.client() as client:
        await load.more(10)
        job_id = next(iter(load.accepted))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(look):
                    (await client.get(f"/v1/jobs/{job_id}")).raise_for_status()
    assert unseen == {}


def concrete(query: str) -> str:
    """Put in what Grafana would for its variables."""
    return re.sub(r"\$(lane|instance|namespace)\b", ".*", query.replace("$__rate_interval", "5s"))


def test_every_excuse_is_of_a_panel_that_is_there() -> None:
    assert set(ONLY_IN_TROUBLE) <= {title for _, title, _ in PANELS}


async def test_an_alert_reaches_its_receiver_and_its_end_does_too(watched: Watched) -> None:
    redis = watched.stack.servers.redis
    redis.kill()
    try:
        fired = await call(watched, "SluiceRedisAway", "firing")
    finally:
        redis.start()
    assert fired["labels"]["severity"] == "ticket"
    assert fired["labels"]["server"] == "redis"
    assert fired["annotations"]["runbook_url"].endswith("docs/operations.md#sluiceredisaway")
    await call(watched, "SluiceRedisAway", "resolved", instance=fired["labels"]["instance"])


async def call(watched: Watched, name: str, status: str, **labels: str) -> dict[str, Any]:
    """Return the first alert of this name, status and labels that is posted to the receiver of tickets."""
    found: list[dict[str, Any]] = []
    wanted = {"alertname": name, **labels}

    def look() -> bool:
        while not watched.calls.empty():
            path, body = watched.calls.get()
            alerts = body["alerts"] if path == "/tickets" else []
            found.extend(
                each
                for each in alerts
                if each["status"] == status and wanted.items() <= each["labels"].items()
            )
        return bool(found)

    await until(look)
    return found[0]
