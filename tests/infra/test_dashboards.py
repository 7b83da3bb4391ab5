"""The dashboards are what panels.yml describes, and Grafana gets all it needs to show them."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from infra.local.programs import find
from infra.observability import dashboards

GRAFANA = dashboards.GRAFANA
SHOWN = {path.name: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").iterdir())}
UNITS = {"short", "s", "bytes", "ops", "reqps", "percentunit"}
every_dashboard = pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)


def panels(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard, without its rows."""
    return [panel for panel in shown["panels"] if panel["type"] != "row"]


def test_every_file_is_what_the_program_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboards.main(["--check"]) == 0, capsys.readouterr().out
    assert {"overview.json", "lanes.json", "api.json", "servers.json", "hosts.json"} == set(SHOWN)


def test_a_stale_file_is_named_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(GRAFANA, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(dashboards, "GRAFANA", tmp_path)
    (tmp_path / "dashboards/api.json").write_text("{}")
    (tmp_path / "dashboards/lanes.json").unlink()
    assert dashboards.main(["--check"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["api.json", "lanes.json"]
    assert dashboards.main([]) == 0
    assert dashboards.main(["--check"]) == 0


@every_dashboard
def test_every_panel_says_what_it_shows_in_a_unit_that_grafana_knows(shown: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in panels(shown)]
    assert len(titles) == len(set(titles)) >= 8
    for panel in panels(shown):
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert [target["refId"] for target in panel["targets"]] == list("ABCDE"[: len(panel["targets"])])


@every_dashboard
def test_every_query_goes_to_the_prometheus_that_was_chosen_and_uses_the_variables(
    shown: dict[str, Any],
) -> None:
    variables = {each["name"]: each for each in shown["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    queries = [target for panel in panels(shown) for target in panel["targets"]]
    assert {query["datasource"]["uid"] for query in queries} == {"${datasource}"}
    used = {name for query in queries for name in re.findall(r"\$(\w+)", query["expr"])}
    assert used - {"__rate_interval"} == set(variables) - {"datasource"}


@pytest.mark.parametrize(
    ("described", "narrowed"),
    [
        ("max by (lane) (sluice_queued_jobs)", 'max by (lane) (sluice_queued_jobs{namespace=~"$namespace"})'),
        ('sum(up{job="sluice-api"})', 'sum(up{namespace=~"$namespace", job="sluice-api"})'),
        ('ALERTS{alertname=~"Sluice.*"}', 'ALERTS{namespace=~"$namespace", alertname=~"Sluice.*"}'),
        ("sluice:slo_burn:rate1h", 'sluice:slo_burn:rate1h{namespace=~"$namespace"}'),
        ("rate(sluice_jobs_failed_total[1m])", 'rate(sluice_jobs_failed_total{namespace=~"$namespace"}[1m])'),
    ],
)
def test_a_figure_is_of_the_namespaces_that_are_chosen(described: str, narrowed: str) -> None:
    assert dashboards.narrow(described) == narrowed


@every_dashboard
def test_no_figure_is_left_out(shown: dict[str, Any]) -> None:
    for query in (target["expr"] for panel in panels(shown) for target in panel["targets"]):
        names = re.findall(
            r"\b(?:sluice[_:][a-z0-9_:]+|(?:process|python)_[a-z_]+|up|ALERTS)\b(.{0,12})", query
        )
        assert names
        assert set(names) == {"{namespace=~"}, query


@every_dashboard
def test_grafana_has_a_field_for_everything_that_a_dashboard_says(shown: dict[str, Any]) -> None:
    register_default_plugins()
    kept = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(shown)))
    assert list(lost(shown, kept)) == []


def lost(said: Any, kept: Any, where: str = "") -> Iterator[str]:
    """Yield the place of each value that did not survive."""
    if isinstance(said, dict) and isinstance(kept, dict):
        for name, value in said.items():
            yield from lost(value, kept.get(name), f"{where}/{name}")
    elif isinstance(said, list) and isinstance(kept, list):
        for number, (one, other) in enumerate(itertools.zip_longest(said, kept)):
            yield from lost(one, other, f"{where}/{number}")
    elif said != kept:
        yield where


@every_dashboard
def test_panels_lie_side_by_side_and_never_over_each_other(shown: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in shown["panels"]):
        columns = range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert max(columns) < dashboards.COLUMNS
        assert not cells & taken
        taken |= cells


def test_every_query_is_one_that_prometheus_can_parse(tmp_path: Path) -> None:
    queries = [t["expr"] for shown in SHOWN.values() for panel in panels(shown) for t in panel["targets"]]
    concrete = [query.replace("$__rate_interval", "1m") for query in queries]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(concrete)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [str(find("promtool")), "check", "rules", "--lint=none", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_its_sources_and_the_dashboards_where_compose_puts_them() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/sluice.yml").read_text())["datasources"]
    compose = yaml.safe_load((dashboards.GRAFANA.parents[2] / "docker-compose.yml").read_text())["services"]
    for source in sources:
        host, port = source["url"].removeprefix("http://").split(":")
        assert host in compose
        assert port in " ".join(compose[host]["healthcheck"]["test"]) or host == "loki"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/sluice.yml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2] for mount in compose["grafana"]["volumes"])
    assert mounts["./infra/observability/grafana/dashboards"] == provider["options"]["path"]
    assert compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == (
        f"{provider['options']['path']}/overview.json"
    )
