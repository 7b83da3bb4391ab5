"""`python -m infra.observability.dashboards`: write Grafana's dashboards from grafana/panels.yml."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it ships no types

GRAFANA = Path(__file__).parent / "grafana"
COLUMNS = 24
WIDTH, HEIGHT = 8, 8
LOW = 4
"""Lines of a panel that shows one figure."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCOPE = {"namespace": "sluice_process_started_total"}
"""What every dashboard can be narrowed to, where several environments have one Prometheus; elsewhere nothing has this label."""
_NAMES = re.compile(r"\b(sluice[_:][a-z0-9_:]+|(?:process|python)_[a-z_]+|up|ALERTS)\b(?![:=])(\{)?")

Json = dict[str, Any]


def render() -> dict[str, str]:
    """Return the text of each dashboard by the name of its file."""
    described = yaml.safe_load((GRAFANA / "panels.yml").read_text())
    return {f"{each['name']}.json": json.dumps(dashboard(each), indent=1) + "\n" for each in described}


def dashboard(described: Json) -> Json:
    """Make a dashboard as Grafana imports it."""
    return {
        "uid": f"sluice-{described['name']}",
        "title": described["title"],
        "description": described["about"],
        "tags": ["sluice"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "Sluice",
                "tags": ["sluice"],
                "asDropdown": True,
                "keepTime": True,
            }
        ],
        "templating": {
            "list": [data_source(), *(variable(*each) for each in (SCOPE | described.get("by", {})).items())]
        },
        "panels": list(lay_out(described["panels"])),
    }


def data_source() -> Json:
    """Let the reader choose which Prometheus is asked."""
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def variable(label: str, metric: str) -> Json:
    """Let the reader choose values of a label, all by default."""
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "values"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def lay_out(panels: list[str | Json]) -> Iterator[Json]:
    """Put panels side by side as long as there is room; a string begins a row."""
    x = y = height = 0
    for number, each in enumerate(panels, 1):
        width, tall = (COLUMNS, 1) if isinstance(each, str) else size(each)
        if x + width > COLUMNS:
            x, y, height = 0, y + height, 0
        made = {"type": "row", "title": each, "panels": []} if isinstance(each, str) else panel(each)
        yield {"id": number, "gridPos": {"h": tall, "w": width, "x": x, "y": y}, **made}
        x, height = x + width, max(height, tall)


def size(described: Json) -> tuple[int, int]:
    """Return columns and lines of a panel."""
    return described.get("width", WIDTH), HEIGHT if described.get("as", "timeseries") == "timeseries" else LOW


def panel(described: Json) -> Json:
    """Make a panel, without its place."""
    kind = described.get("as", "timeseries")
    targets = [
        target(chr(ord("A") + number), expr, legend, kind=kind)
        for number, (legend, expr) in enumerate(described["queries"].items())
    ]
    return {
        "type": kind,
        "title": described["title"],
        "description": described["about"],
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": described.get("unit", "short")}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if kind == "timeseries" else {},
        "targets": targets,
    }


def target(name: str, expr: str, legend: str, *, kind: str) -> Json:
    """Make one query of a panel."""
    return {
        "refId": name,
        "datasource": SOURCE,
        "expr": narrow(expr),
        "legendFormat": legend or "__auto",
        "instant": kind != "timeseries",
        "range": kind == "timeseries",
        "format": "table" if kind == "table" else "time_series",
    }


def narrow(expr: str) -> str:
    """Return the query for the namespaces that are chosen; a figure without the label counts where all are."""
    only = 'namespace=~"$namespace"'
    return _NAMES.sub(lambda found: f"{found[1]}{{{only}, " if found[2] else f"{found[1]}{{{only}}}", expr)


def main(words: Sequence[str]) -> int:
    """Write every dashboard; with `--check` only say which are not what panels.yml describes."""
    rendered = {GRAFANA / "dashboards" / name: text for name, text in render().items()}
    if "--check" in words:
        there = {path: path.read_text() for path in (GRAFANA / "dashboards").iterdir()}
        stale = [path.name for path in sorted({*there, *rendered}) if there.get(path) != rendered.get(path)]
        print(
            "".join(f"{name} is stale: python -m infra.observability.dashboards\n" for name in stale), end=""
        )
        return 1 if stale else 0
    for path, text in rendered.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
