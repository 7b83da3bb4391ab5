"""The chart and the overlays as they render, each once in a run, and ways to find something in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks import manifests, tools
from infra.checks.manifests import Manifest

SETS = ("minimal", "full", "keda", "hpa", "httproute")
"""Names of the files in tests/infra/values."""


@cache
def chart(name: str) -> list[Manifest]:
    """The objects that the chart renders with one of the sets of values."""
    tools.install()
    return manifests.parse(manifests.render(manifests.sets_of_values()[name]))


def chart_with(directory: Path, values: Mapping[str, Any], name: str = "minimal") -> list[Manifest]:
    """The same with these values on top. Raises Refused."""
    tools.install()
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return manifests.parse(manifests.render([*manifests.sets_of_values()[name], file]))


def of_kind(objects: list[Manifest], *kinds: str) -> list[Manifest]:
    """The objects of these kinds."""
    return [each for each in objects if each["kind"] in kinds]


def one(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """The object of this kind and name."""
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def component(each: Manifest) -> str:
    """The component that an object or a template of a pod is labelled with."""
    return str(each["metadata"]["labels"]["app.kubernetes.io/component"])


def templates(objects: list[Manifest]) -> Iterator[Manifest]:
    """The templates of all pods."""
    yield from (each["spec"]["template"] for each in of_kind(objects, "Deployment", "StatefulSet", "Job"))


def containers(objects: list[Manifest]) -> Iterator[Manifest]:
    """The containers of all pods."""
    for template in templates(objects):
        yield from template["spec"]["containers"]


def environment(objects: list[Manifest], container: Manifest) -> dict[str, str]:
    """What a process reads: its ConfigMap, its own variables, and for each secret its Secret and key."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    for each in container.get("env", []):
        if "value" in each:
            found[each["name"]] = each["value"]
        else:
            found[each["name"]] = "{name}/{key}".format(**each["valueFrom"]["secretKeyRef"])
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector (matchLabels and `In` expressions) fits labels."""
    among = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in among)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in among
    )
