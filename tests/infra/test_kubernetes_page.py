"""docs/kubernetes.md names what is there."""

from __future__ import annotations

import re

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks.manifests import CHART, NEWEST, OLDEST
from infra.checks.tools import ROOT
from infra.helm.schema import OF_THE_CHART, SECRET

PAGE = (ROOT / "docs/kubernetes.md").read_text()
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
OF_ADDRESSES = {name for name in OF_THE_CHART if name.endswith(("_host", "_port"))}


def test_every_path_is_there() -> None:
    paths = set(re.findall(r"infra/[\w./-]*\w", PAGE))
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_setting_that_the_chart_makes_is_told() -> None:
    table = PAGE.split("| setting | from |", 1)[1].split("\n\n", 1)[0]
    told = {name.lower() for name in re.findall(r"SLUICE_(\w+)", table)}
    assert told == (OF_THE_CHART - OF_ADDRESSES) | SECRET


NAMES = {name for name in re.findall(r"`((?:[a-z]\w+\.)+[a-z]\w+)`", PAGE) if not name.endswith(".yaml")}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_value_is_one_of_the_chart(name: str) -> None:
    found = VALUES
    for part in name.split("."):
        found = found[part]


def test_the_releases_of_kubernetes_are_those_that_are_validated() -> None:
    oldest, newest = (version.rpartition(".")[0] for version in (OLDEST, NEWEST))
    assert f"against Kubernetes {oldest} and {newest}" in PAGE
    assert f"It needs Kubernetes {oldest} or newer" in PAGE
