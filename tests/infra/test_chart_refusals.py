"""What the chart does not take, and the remedy that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from infra.checks import tools
from infra.checks.manifests import CHART, Refused, render, run, sets_of_values
from infra.helm import schema
from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings import Settings
from tests.infra.rendered import chart, chart_with, one

DIGEST = {"digest": ""}
KEDA = {"minReplicas": 1, "maxReplicas": 2}
HPA = {"minReplicas": 1, "maxReplicas": 2, "cpu": 80}
NO_PEERS: dict[str, Any] = {"clients": [], "monitoring": [], "keda": []}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["a.example.com"]}
INGRESS = {"enabled": True, "host": "a.example.com", "allowPlainHttp": True}

REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no digest": ({"image": DIGEST}, "image.digest is not set: give the sha256:"),
    "a tag that is not meant": ({"image": {**DIGEST, "tag": "latest"}}, "image.pinned=false"),
    "neither digest nor tag": ({"image": {**DIGEST, "pinned": False}}, "image.tag is not set"),
    "a name that no Service may have": ({"fullnameOverride": "1.jobs"}, "Names of objects would begin with 1.jobs"),
    "a name that is too long with its group's": (
        {"fullnameOverride": "j" * 40, "consumers": {"heavy-computations": {"lanes": ["heavy"]}}},
        f"{'j' * 40}-consumer-heavy-computations has 68 characters",
    ),
    "a label by which pods are found": (
        {"podLabels": {"app.kubernetes.io/component": "jobs"}},
        "podLabels.app.kubernetes.io/component: the chart sets this label itself",
    ),
    "no Secret": ({"existingSecret": ""}, "keyPepper has no Secret: make one with the key SLUICE_KEY_PEPPER"),
    "no Secret of a server": (
        {"existingSecret": "", "keyPepper": {"secret": "a"}, "servers": {"redis": {"secret": "b"}, "rabbitmq": {"secret": "c"}}},
        "name it in existingSecret or in servers.postgres.secret",
    ),
    "no address of a server": ({"servers": {"redis": {"to": []}}}, "servers.redis.to is empty"),
    "slots by the node's processors": (
        {"config": {"SLUICE_LANES": {"heavy": {"slots": 0}}}},
        "config.SLUICE_LANES.heavy.slots is 0",
    ),
    "a lane that is none": (
        {"consumers": {"default": {"lanes": ["default", "night"]}}},
        "there is no lane night; config.SLUICE_LANES has default, heavy",
    ),
    "a lane that nobody serves": ({"consumers": {"heavy": None, "other": {"lanes": ["default"]}}}, "no group of consumers serves the lane heavy"),
    "two autoscalers": ({"consumers": {"heavy": {"keda": KEDA, "hpa": HPA}}}, "has hpa and keda"),
    "an autoscaler upside down": (
        {"consumers": {"heavy": {"hpa": {**HPA, "minReplicas": 3}}}},
        "consumers.heavy.hpa: minReplicas 3 is more than maxReplicas 2",
    ),
    "an autoscaler of KEDA upside down": (
        {"consumers": {"heavy": {"keda": {**KEDA, "minReplicas": 3}}}},
        "consumers.heavy.keda: minReplicas 3 is more than maxReplicas 2",
    ),
    "an autoscaler of the api upside down": (
        {"api": {"hpa": {"enabled": True, "maxReplicas": 1}}},
        "api.hpa: minReplicas 2 is more than maxReplicas 1",
    ),
    "a switch that nobody reads": ({"consumers": {"heavy": {"hpa": {**HPA, "enabled": False}}}}, "enabled"),
    "keda without a way in": ({"consumers": {"heavy": {"keda": KEDA}}}, "networkPolicy.keda is empty"),
    "an ingress without a host": ({"api": {"ingress": {"enabled": True}}}, "api.ingress.host is not set"),
    "an ingress without TLS": (
        {"api": {"ingress": {"enabled": True, "host": "a.example.com"}}},
        "API keys would travel in the clear",
    ),
    "a route without a gateway": ({"api": {"httpRoute": {"enabled": True}}}, "needs parentRefs"),
    "a route without a way in": (
        {"api": {"httpRoute": ROUTE, "trustedProxies": ["10.0.0.0/8"]}},
        "networkPolicy.clients is empty",
    ),
    "an ingress behind which all clients are one": ({"api": {"ingress": INGRESS}}, "api.trustedProxies is empty, so all clients would count as one"),
    "a route behind which all clients are one": ({"api": {"httpRoute": ROUTE}}, "or set config.SLUICE_FAILED_AUTH_RATE to"),
    "a proxy without an address": ({"api": {"trustedProxies": ["ingress-nginx"]}}, "/api/trustedProxies/0"),
    "a load balancer without a way in": (
        {"api": {"service": {"type": "LoadBalancer"}}},
        "networkPolicy.clients is empty",
    ),
    "a port of the nodes without a way in": (
        {"api": {"service": {"type": "NodePort"}}},
        "networkPolicy.clients is empty",
    ),
    "a monitor without a way in": (
        {"monitoring": {"serviceMonitor": {"enabled": True}}},
        "networkPolicy.monitoring is empty",
    ),
    "a collector without a way out": ({"config": {"SLUICE_OTLP_URL": "http://otel:4318"}}, "networkPolicy.egress is empty"),
    "a smoke test without a key": ({"smokeTest": {"enabled": True}}, "sluice keys create --tenant smoke-test"),
    "a value that is none": ({"replicas": 3}, "replicas"),
    "a setting that is none": ({"config": {"SLUICE_KEEPS": 1}}, "SLUICE_KEEPS"),
    "a setting out of bounds": ({"config": {"SLUICE_WAITERS": -1}}, "SLUICE_WAITERS"),
    "a setting of another type": ({"config": {"SLUICE_DOCS": "yes"}}, "SLUICE_DOCS"),
    "memory that is no quantity": ({"api": {"resources": {"limits": {"memory": "1gb"}}}}, "/api/resources/limits/memory"),
    "room that is no quantity": ({"tmp": {"sizeLimit": "lots"}}, "tmp/sizeLimit"),
    "a digest that is none": ({"image": {"digest": "sha256:abc"}}, "digest"),
    "a repository with a tag": ({"image": {"repository": "ghcr.io/sluice-jobs/sluice:1"}}, "repository"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "said"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_work_is_refused_with_its_remedy(
    values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="Error") as refused:
        chart_with(tmp_path, values)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", sorted(schema.SECRET | schema.OF_THE_CHART))
def test_what_is_set_elsewhere_is_no_setting_of_the_chart(name: str) -> None:
    assert f"{PREFIX}{name.upper()}" not in schema.schema()["properties"]["config"]["properties"]
    assert name in Settings.model_fields


def test_every_other_setting_can_be_given() -> None:
    known = {
        name.removeprefix(PREFIX).lower() for name in schema.schema()["properties"]["config"]["properties"]
    }
    assert known == Settings.model_fields.keys() - schema.SECRET - schema.OF_THE_CHART


def test_the_schema_of_the_chart_is_that_of_the_settings() -> None:
    assert schema.FILE.read_text() == schema.text(), "make schema"


def test_the_defaults_of_the_settings_fit_the_schema(tmp_path: Path) -> None:
    known = schema.schema()["properties"]["config"]["properties"]
    fields = Settings.model_fields.items()
    defaults = to_jsonable_python({name: field.default for name, field in fields if not field.is_required()})
    given = {name: defaults[name.removeprefix(PREFIX).lower()] for name in known if name != f"{PREFIX}LANES"}
    assert chart_with(tmp_path, {"config": given})


def test_an_older_kubernetes_is_refused() -> None:
    tools.install()
    with pytest.raises(Refused, match=r"chart requires kubeVersion: >=1\.29"):
        render(sets_of_values()["minimal"], "--kube-version=1.28.15")


def test_a_release_whose_name_makes_no_service_is_refused_unless_another_is_given() -> None:
    tools.install()
    files = [f"--values={file}" for file in sets_of_values()["minimal"]]
    with pytest.raises(Refused, match=r"begin with jobs\.v2"):
        run("helm", "template", "jobs.v2", str(CHART), *files)
    assert run("helm", "template", "jobs.v2", str(CHART), *files, "--set=fullnameOverride=jobs-v2")


def test_a_chart_without_any_values_says_what_to_set_first() -> None:
    tools.install()
    with pytest.raises(Refused, match=r"image\.digest is not set"):
        render([])


def notes(name: str, *words: str) -> str:
    """What a person reads after an install."""
    tools.install()
    files = [f"--values={file}" for file in sets_of_values()[name]]
    said = run("helm", "install", "sluice", str(CHART), "--dry-run=client", *files, *words)
    return said.split("NOTES:", 1)[1]


def test_a_group_whose_jobs_may_run_longer_than_a_stop_is_warned_of() -> None:
    said = notes("full")
    assert "WARNING: consumers.heavy: jobs may run for 3600 s, and have 120 s to end" in said
    assert "consumers.default: jobs may run" not in said
    assert "WARNING" not in notes("minimal")


def test_nothing_that_serves_is_warned_of() -> None:
    said = notes("minimal", "--set=api.replicas=0,consumers.heavy.replicas=0")
    assert "WARNING: api.replicas is 0" in said
    assert "WARNING: the groups of consumers that serve the lane heavy have 0 replicas" in said
    assert "the lane default" not in said
    both = notes("minimal", "--set=consumers.heavy.replicas=0,consumers.other.replicas=1")
    assert "WARNING" not in both, "the other group serves all lanes"


def test_the_notes_name_objects_that_are_there() -> None:
    assert "exec deploy/jobs-api -- sluice keys create" in notes("full")
    assert one(chart("full"), "Deployment", "jobs-api")


def test_who_has_no_way_out_for_webhooks_is_told() -> None:
    """And how to open one; what the settings allow wants a rule of its own."""
    assert "Set networkPolicy.webhooks to true" in notes("minimal")
    assert "networkPolicy.webhooks" not in notes("keda")
    assert "networkPolicy.webhooks" not in notes("httproute"), "no policies keep them"
    said = notes("keda", "--set=config.SLUICE_WEBHOOK_ALLOW=10.20.0.0/16")
    assert "WARNING: config.SLUICE_WEBHOOK_ALLOW: the network policies keep consumers" in said


def test_proxies_need_no_trust_where_failures_are_not_counted(tmp_path: Path) -> None:
    values = {"networkPolicy": {"enabled": False}, "config": {"SLUICE_FAILED_AUTH_RATE": "off"}}
    assert chart_with(tmp_path, {**values, "api": {"ingress": INGRESS}})


def test_who_hides_the_addresses_of_clients_behind_those_of_nodes_is_warned() -> None:
    balanced = "--set=networkPolicy.enabled=false,api.service.type=LoadBalancer"
    assert "WARNING: api.service.type is LoadBalancer" in notes("minimal", balanced)
    assert "WARNING" not in notes("minimal", f"{balanced},api.service.externalTrafficPolicy=Local")
    assert "WARNING" not in notes("minimal", f"{balanced},config.SLUICE_FAILED_AUTH_RATE=off")
