"""The alerts that the chart brings: of one namespace each, and without those that are not wanted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks.manifests import Refused
from infra.checks.tools import ROOT
from infra.local.programs import find
from tests.infra.rendered import chart, chart_with, one

FILES = sorted((ROOT / "infra/observability/prometheus/rules").glob("*.yml"))
GROUPS = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
OURS = "jobs"
"""The namespace for which tests render the chart."""
AWAY = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="sluice-api", namespace="jobs", instance="a"}', values: '1x3 0x20'}
      - {series: 'up{job="sluice-api", namespace="staging", instance="b"}', values: '1x30'}
      - {series: 'sluice_oldest_queued_seconds{lane="heavy", namespace="staging"}', values: '9000x30'}
    alert_rule_test:
      - eval_time: 10m
        alertname: SluiceApiAbsent
        exp_alerts:
          - exp_labels: {severity: page, namespace: jobs}
            exp_annotations:
              summary: No api answers Prometheus
              runbook_url: https://github.com/sluice-jobs/sluice/blob/main/docs/operations.md#sluiceapiabsent
      - {eval_time: 20m, alertname: SluiceQueueOld}
"""


def rules_in(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rule of the groups, in order."""
    return [rule for group in groups for rule in group["rules"]]


def rendered(objects: list[dict[str, Any]], name: str = "jobs") -> list[dict[str, Any]]:
    """The groups of the chart's rules."""
    groups: list[dict[str, Any]] = one(objects, "PrometheusRule", name)["spec"]["groups"]
    return groups


def test_every_rule_is_that_of_the_repository_for_the_namespace_of_the_release() -> None:
    groups = rendered(chart("full"))
    assert [group["name"] for group in groups] == [group["name"] for group in GROUPS]
    for made, given in zip(rules_in(groups), rules_in(GROUPS), strict=True):
        assert made["labels"] == {"namespace": OURS, **given.get("labels", {})}
        plain = made["expr"].replace('{namespace="jobs"}', "").replace('{namespace="jobs", ', "{")
        assert {**made, "expr": plain, "labels": given.get("labels")} == {"labels": None, **given}


def test_no_figure_of_another_namespace_counts() -> None:
    names = re.compile(r"\b(?:sluice[_:][a-z0-9_:]+|process_[a-z_]+|up\b(?! )|ALERTS)(?P<behind>.{0,17})")
    for rule in rules_in(rendered(chart("full"))):
        found = [match["behind"] for match in names.finditer(rule["expr"])]
        assert found or rule["expr"].startswith("vector(")
        assert [each for each in found if each != '{namespace="jobs"'] == [], rule["expr"]


def test_an_api_that_is_away_is_not_hidden_by_that_of_another_environment(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": rendered(chart("full"))}))
    (tmp_path / "away.yml").write_text(AWAY)
    command = [str(find("promtool")), "test", "rules", str(tmp_path / "away.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_for_all_that_a_prometheus_scrapes_are_those_of_the_repository(tmp_path: Path) -> None:
    objects = chart_with(tmp_path, {"monitoring": {"rules": {"namespaceLabel": ""}}}, "full")
    assert rendered(objects) == GROUPS


def test_how_long_jobs_may_wait_and_run_is_a_value(tmp_path: Path) -> None:
    values = {"monitoring": {"rules": {"seconds": {"SluiceQueueOld": 86_400, "SluiceLaneStarves": 7_200}}}}
    usual = rules_in(rendered(chart("full")))
    wanted = {rule["alert"]: rule["expr"] for rule in usual if rule.get("alert") in ("SluiceQueueOld", "SluiceLaneStarves")}  # fmt: skip
    assert (wanted["SluiceQueueOld"].count("> 300"), wanted["SluiceLaneStarves"].count("> 600")) == (1, 1)
    changed = [rule for rule in rules_in(rendered(chart_with(tmp_path, values, "full"))) if rule not in usual]
    assert {rule["alert"]: rule["expr"] for rule in changed} == {
        "SluiceQueueOld": wanted["SluiceQueueOld"].replace("> 300", "> 86400"),
        "SluiceLaneStarves": wanted["SluiceLaneStarves"].replace("> 600", "> 7200"),
    }


def test_an_alert_that_is_not_wanted_is_left_out(tmp_path: Path) -> None:
    values = {"monitoring": {"rules": {"without": ["SluiceConsumerAbsent", "SluiceLaneUnserved"]}}}
    kept = {rule.get("alert") for rule in rules_in(rendered(chart_with(tmp_path, values, "full")))}
    gone = {rule.get("alert") for rule in rules_in(GROUPS)} - kept
    assert gone == {"SluiceConsumerAbsent", "SluiceLaneUnserved"}


def test_an_alert_that_is_none_cannot_be_left_out(tmp_path: Path) -> None:
    values = {"monitoring": {"rules": {"without": ["SluiceConsumersAbsent"]}}}
    with pytest.raises(Refused, match="there is no alert SluiceConsumersAbsent"):
        chart_with(tmp_path, values, "full")
