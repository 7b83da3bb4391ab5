"""Of the profile observability, Prometheus and Alertmanager find what they watch, with the files as they are shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.containers.composed import ROOT, Client, Composed, until

WATCHING = ("prometheus", "alertmanager")
RULES = ROOT / "infra/observability/prometheus/rules"


class Watched:
    """What Prometheus says, asked from inside its container."""

    def __init__(self, composed: Composed) -> None:
        self._composed = composed

    def says(self, path: str, **query: str) -> Any:
        """The data of an answer of its API."""
        url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(query)}"
        return json.loads(self._composed.inside("prometheus", "wget", "-qO-", url))["data"]

    def jobs_up(self) -> dict[str, bool]:
        """The jobs that it scrapes, and whether every target of each answered."""
        up: dict[str, bool] = {}
        for target in self.says("targets", state="active")["activeTargets"]:
            job = target["labels"]["job"]
            up[job] = up.get(job, True) and target["health"] == "up"
        return up


@pytest.fixture(scope="module")
def watched(project: Composed) -> Iterator[Watched]:
    """Both, healthy, beside a stack that is; gone again at the end."""
    project.up()
    project("--profile", "observability", "up", "--detach", "--wait", "--wait-timeout", "90", *WATCHING)
    yield Watched(project)
    project("--profile", "observability", "rm", "--stop", "--force", "--volumes", *WATCHING)


def test_api_and_consumers_are_found_and_scraped(watched: Watched) -> None:
    wanted = {"sluice-api": True, "sluice-consumer": True, "prometheus": True, "alertmanager": True}
    until(watched.jobs_up, lambda up: up == wanted)


def test_every_rule_is_judged_without_error(watched: Watched) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = watched.says("rules")["groups"]
        assert len({group["file"] for group in groups}) == len(list(RULES.iterdir()))
        return [rule for group in groups for rule in group["rules"]]

    judged = until(rules, lambda found: all(rule["health"] != "unknown" for rule in found))
    assert {rule["health"] for rule in judged} == {"ok"}


def test_alerts_go_to_the_alertmanager(watched: Watched) -> None:
    until(
        lambda: watched.says("alertmanagers")["activeAlertmanagers"],
        lambda found: [each["url"] for each in found] == ["http://alertmanager:9093/api/v2/alerts"],
    )


def test_jobs_are_counted(watched: Watched, client: Client) -> None:
    client.finished(client.submit("demo.sum", {"values": [1, 2]}))
    until(
        lambda: watched.says("query", query="sum(sluice_jobs_accepted_total)")["result"],
        lambda found: bool(found) and float(found[0]["value"][1]) >= 1,
    )
