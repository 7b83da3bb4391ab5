"""Every alert has a severity, a page that says what to do, and a promtool test that sees it fire and sees it quiet."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.local.programs import find

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "infra/observability/prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
PAGE = "https://github.com/sluice-jobs/sluice/blob/main/docs/operations.md#"


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
every_alert = pytest.mark.parametrize("name", ALERTS)


def seen() -> dict[str, list[bool]]:
    """For each alert whether it has to fire, at each moment that a promtool test looks at it."""
    found: dict[str, list[bool]] = defaultdict(list)
    for path in (PROMETHEUS / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for look in test["alert_rule_test"]:
                found[look["alertname"]].append(bool(look["exp_alerts"]))
    return found


def headings() -> list[str]:
    """The alerts that the operations page explains."""
    section = (ROOT / "docs/operations.md").read_text().split("\n## Alerts\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^### (\w+)$", section, re.MULTILINE)


def test_no_two_alerts_share_a_name() -> None:
    assert len(ALERTS) == sum("alert" in rule for rule in rules()) > 30


@every_alert
def test_an_alert_says_how_urgent_it_is_and_where_it_is_explained(name: str) -> None:
    alert = ALERTS[name]
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == PAGE + name.lower()


def test_the_operations_page_explains_every_alert_and_no_other() -> None:
    assert sorted(headings()) == sorted(ALERTS)


@every_alert
def test_a_test_sees_the_alert_fire_and_sees_it_quiet(name: str) -> None:
    assert set(seen()[name]) == {True, False}


def test_no_test_is_about_an_alert_that_is_not_there() -> None:
    assert set(seen()) == set(ALERTS)


def test_everything_that_can_go_wrong_with_a_server_or_a_process_has_an_alert() -> None:
    table = (ROOT / "docs/operations.md").read_text().split("| what is wrong | `/readyz` |", 1)[1]
    rows = table.split("\n\n", 1)[0].splitlines()[2:]
    named = {row.split("|")[1].strip(): re.findall(r"\[(Sluice\w+)\]", row.split("|")[-2]) for row in rows}
    assert len(named) == len(rows) > 10
    assert [row for row, alerts in named.items() if not alerts or not set(alerts) <= set(ALERTS)] == []


def promtool(prometheus: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of the rules about hosts."""
    command = [str(find("promtool")), "test", "rules", str(prometheus / "tests/hosts.yml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("sluice_hosts_died_total[15m]) > 3", "sluice_hosts_died_total[15m]) > 30"),
        ("sluice_hosts_died_total[15m]) > 3", "sluice_hosts_died_total[15m]) > 0"),
        ("severity: ticket", "severity: page"),
    ],
)
def test_a_rule_that_is_broken_turns_its_test_red(tmp_path: Path, right: str, wrong: str) -> None:
    tree = tmp_path / "prometheus"
    shutil.copytree(PROMETHEUS, tree)
    assert promtool(tree).returncode == 0
    broken = (tree / "rules/hosts.yml").read_text()
    (tree / "rules/hosts.yml").write_text(broken.replace(right, wrong, 1))
    assert promtool(tree).returncode == 1


def test_who_is_called_at_once_and_who_gets_a_ticket() -> None:
    file = ROOT / "infra/observability/alertmanager/alertmanager.yml"
    told = yaml.safe_load(file.read_text())
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        command = [str(find("amtool")), "config", "routes", "test", f"--config.file={file}"]
        done = subprocess.run([*command, f"severity={severity}"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == receiver
    assert {each["name"] for each in told["receivers"]} == {"pages", "tickets"}


def test_what_hides_other_alerts_names_alerts_that_are_there() -> None:
    told = yaml.safe_load((ROOT / "infra/observability/alertmanager/alertmanager.yml").read_text())
    for rule in told["inhibit_rules"]:
        assert rule["equal"] == ["namespace"], "one environment hides nothing of another"
        (source,), (target,) = rule["source_matchers"], rule["target_matchers"]
        assert source.removeprefix("alertname = ") in ALERTS
        pattern = target.removeprefix("alertname =~ ").strip('"')
        for each in pattern.split("|"):
            assert any(re.fullmatch(each, name) for name in ALERTS), each
