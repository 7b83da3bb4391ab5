"""What `make check-infra` says of objects that Kubernetes, or an operator, would not take."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from infra.checks import tools
from infra.checks.manifests import find_flaws, is_known, validate
from tests.infra.rendered import chart, one


def scaled_object() -> dict[str, Any]:
    """One that passes."""
    found = deepcopy(one(chart("keda"), "ScaledObject", "sluice-consumer-heavy"))
    assert list(find_flaws(found)) == []
    return found


def test_a_misspelt_field_of_an_operators_kind_is_seen() -> None:
    found = scaled_object()
    found["spec"]["polingInterval"] = found["spec"].pop("pollingInterval")
    (flaw,) = find_flaws(found)
    assert flaw.startswith("keda.sh/v1alpha1 ScaledObject sluice-consumer-heavy: spec: ")
    assert "polingInterval" in flaw


def test_a_trigger_that_sees_only_what_waits_is_not_taken() -> None:
    found = scaled_object()
    found["spec"]["triggers"][0]["type"] = "rabbitmq"
    assert list(find_flaws(found))


def test_a_misspelt_field_of_kubernetes_itself_is_seen_for_the_oldest_and_the_newest_release() -> None:
    tools.install()
    found = deepcopy(one(chart("minimal"), "Deployment", "sluice-api"))
    found["spec"]["replicaz"] = found["spec"].pop("replicas")
    said = list(validate([found]))
    assert [version for version in ("1.29", "1.37") if any(f"version {version}" in line for line in said)] == [
        "1.29", "1.37",
    ]  # fmt: skip
    assert "replicaz" in said[0]


def test_a_kind_that_nobody_knows_is_a_flaw_and_one_of_ours_is_not() -> None:
    tools.install()
    unknown = {"apiVersion": "example.com/v1", "kind": "Wonder", "metadata": {"name": "a"}}
    said = list(validate([unknown, scaled_object()]))
    assert len(said) == 2
    assert all("Wonder" in line for line in said)
    assert is_known(
        "WARN x Couldn't find schema for kind ScaledObject with api version keda.sh/v1alpha1 for kubernetes version 1.29"
    )
