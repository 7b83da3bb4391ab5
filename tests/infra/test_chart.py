"""What the chart renders: what pods may do, how they are probed, stopped, scaled and configured."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from infra.checks.manifests import CHART, Manifest
from sluice.adapters.admin_http import PING_S, AdminApp
from sluice.adapters.metrics import Metrics
from sluice.core.runtime.load_settings import load_settings
from sluice.core.runtime.settings import Settings
from tests.infra.rendered import (
    SETS,
    chart,
    chart_with,
    component,
    containers,
    environment,
    of_kind,
    one,
    selects,
    templates,
)

every_set = pytest.mark.parametrize("name", SETS)
SECRETS = {
    "SLUICE_POSTGRES_URL": "postgresql://sluice:secret@record/sluice",
    "SLUICE_REDIS_URL": "redis://:secret@cache:6379/0",
    "SLUICE_RABBITMQ_URL": "amqp://sluice:secret@broker:5672/",
    "SLUICE_KEY_PEPPER": "sixteen characters",
}
OTHER = {"SLUICE_KEY_PEPPER_OTHER": "sixteen characters too"}
"""Where the chart says that there is one."""
STOPS_S = 1 + 20 + 4
"""What the api takes after the lame duck, at most: late connections, open requests, what is left to publish."""


def read_settings(objects: list[Manifest], container: Manifest) -> Settings:
    """What the process makes of its environment, with secrets that are made up."""
    given = environment(objects, container)
    return load_settings(
        {**given, **{key: value for key, value in (SECRETS | OTHER).items() if key in given}}
    )


def deployment(name: str, of: str) -> tuple[list[Manifest], Manifest, Manifest]:
    """All objects of a set, the spec of the pods of this Deployment, and their container."""
    objects = chart(name)
    spec = one(objects, "Deployment", of)["spec"]["template"]["spec"]
    return objects, spec, spec["containers"][0]


@every_set
def test_a_pod_may_do_what_restricted_pod_security_allows_and_writes_only_to_tmp(name: str) -> None:
    for template in templates(chart(name)):
        spec = template["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}.isdisjoint(spec)
        volumes = {volume.pop("name"): volume for volume in deepcopy(spec["volumes"])}
        volumes.pop("certificates", None)
        assert volumes == {"tmp": {"emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}}}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@every_set
def test_no_process_has_a_right_in_the_cluster(name: str) -> None:
    assert of_kind(chart(name), "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == []


def test_pods_run_as_whom_the_image_makes() -> None:
    dockerfile = (CHART.parents[1] / "docker/Dockerfile").read_text()
    assert "USER 10001:10001" in dockerfile
    assert "useradd --uid 10001" in dockerfile


@every_set
def test_a_container_asks_for_processor_and_memory_and_is_limited_in_memory_alone(name: str) -> None:
    for container in containers(chart(name)):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}


def test_consumers_give_way_to_the_api() -> None:
    asked = {
        component(template): template["spec"]["containers"][0]["resources"]["requests"]["cpu"]
        for template in templates(chart("minimal"))
    }
    assert (asked["api"], asked["consumer"]) == ("500m", "100m")


@every_set
async def test_probes_ask_for_pages_that_the_private_port_has(name: str) -> None:
    app = AdminApp("any", {}, Metrics())
    for each in of_kind(chart(name), "Deployment"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        settings = read_settings(chart(name), container)
        process = {"api": settings.api_private_port, "consumer": settings.consumer_private_port}
        assert ports["private"] == process[component(each)]
        probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: get["path"] for kind, get in probes.items()} == {
            "startup": "/livez", "liveness": "/livez", "readiness": "/readyz",
        }  # fmt: skip
        assert {get["port"] for get in probes.values()} == {"private"}
        for get in probes.values():
            assert await status_of(app, get["path"]) == 200
        assert settings.private_host == settings.api_host != "127.0.0.1"


async def status_of(app: AdminApp, path: str) -> int:
    """What the private port answers."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "path": path, "headers": [], "query_string": b""}, None, send)
    return int(sent[0]["status"])


@every_set
def test_probes_are_patient_where_the_process_may_be_slow(name: str) -> None:
    for each in of_kind(chart(name), "Deployment"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        startup = container["startupProbe"]
        settings = read_settings(chart(name), container)
        assert startup["failureThreshold"] * startup["periodSeconds"] >= settings.start_s + 30
        assert container["readinessProbe"]["timeoutSeconds"] > PING_S
        liveness = container["livenessProbe"]
        assert liveness["failureThreshold"] * liveness["periodSeconds"] >= 60


@every_set
def test_a_pod_is_killed_ten_seconds_after_its_process_should_have_ended(name: str) -> None:
    for each in of_kind(chart(name), "Deployment"):
        spec = each["spec"]["template"]["spec"]
        settings = read_settings(chart(name), spec["containers"][0])
        stops_s = settings.lame_duck_s + STOPS_S if component(each) == "api" else settings.stop_s
        assert spec["terminationGracePeriodSeconds"] == stops_s + 10


def test_a_group_of_consumers_sets_what_is_its_own() -> None:
    objects, spec, container = deployment("full", "jobs-consumer-heavy")
    settings = read_settings(objects, container)
    assert [lane.name for lane in settings.served] == ["heavy"]
    assert (settings.stop_s, settings.processes) == (120, 4)
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"pool": "heavy"}, "low")
    assert spec["tolerations"] == [{"key": "heavy", "operator": "Exists", "effect": "NoSchedule"}]
    assert container["resources"]["limits"] == {"memory": "10Gi"}
    objects, spec, container = deployment("full", "jobs-consumer-default")
    assert (read_settings(objects, container).stop_s, spec["priorityClassName"]) == (25, "high")


@every_set
def test_every_process_would_take_its_settings(name: str) -> None:
    for container in containers(chart(name)):
        if container["command"][0] == "sluice":
            read_settings(chart(name), container)


def test_settings_arrive_as_they_were_given() -> None:
    objects, _, container = deployment("full", "jobs-api")
    settings = read_settings(objects, container)
    assert settings.handlers == ("jobs.orders", "jobs.reports")
    assert (settings.keep_s, settings.docs, settings.record_budget_s) == (2_592_000, True, 0.5)
    assert settings.cors_origins == ("https://app.example.com", "https://admin.example.com")
    assert settings.lanes["heavy"].slots == 4
    assert (settings.lame_duck_s, settings.api_host) == (15, "::")
    assert settings.trusted_proxies == ("10.244.0.0/16", "fd00:10:244::/56")


def test_the_documentation_of_the_api_is_hidden_unless_it_is_asked_for() -> None:
    objects, _, container = deployment("minimal", "sluice-api")
    assert not read_settings(objects, container).docs


@every_set
def test_secrets_are_references_and_none_is_made(name: str) -> None:
    objects = chart(name)
    assert of_kind(objects, "Secret") == []
    for container in containers(objects):
        for each in container["env"]:
            assert ("value" in each) is (each["name"] not in {*SECRETS, *OTHER, "SLUICE_API_KEY"})
    for each in of_kind(objects, "ConfigMap"):
        assert (SECRETS | OTHER).keys().isdisjoint(each["data"])


def test_each_secret_is_found_where_the_values_say() -> None:
    _, _, container = deployment("minimal", "sluice-api")
    found = environment(chart("minimal"), container)
    assert {name: found[name] for name in SECRETS} == {name: f"sluice/{name}" for name in SECRETS}
    assert found.keys().isdisjoint(OTHER)
    for of in ("jobs-api", "jobs-consumer-default"):
        objects, spec, container = deployment("full", of)
        found = environment(objects, container)
        assert {name: found[name] for name in SECRETS | OTHER} == {
            "SLUICE_POSTGRES_URL": "record-app/uri",
            "SLUICE_REDIS_URL": "cache/address",
            "SLUICE_RABBITMQ_URL": "broker-default-user/connection_string",
            "SLUICE_KEY_PEPPER": "pepper/pepper",
            "SLUICE_KEY_PEPPER_OTHER": "pepper/before",
        }
        assert spec["imagePullSecrets"] == [{"name": "registry"}]


def test_files_of_certificates_lie_in_every_pod_where_addresses_can_name_them() -> None:
    for template in templates(chart("full")):
        spec = template["spec"]
        (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] != "tmp"]
        assert mount == {"name": "certificates", "mountPath": "/etc/sluice/certificates", "readOnly": True}
        (volume,) = [each for each in spec["volumes"] if each["name"] == "certificates"]
        assert volume["projected"]["sources"] == [
            {"secret": {"name": "client-certificate"}},
            {"configMap": {"name": "authorities"}},
        ]
    for template in templates(chart("minimal")):
        assert [each["name"] for each in template["spec"]["volumes"]] == ["tmp"]


def test_without_rabbitmq_no_address_of_it_is_given() -> None:
    for container in containers(chart("hpa")):
        assert "SLUICE_RABBITMQ_URL" not in environment(chart("hpa"), container)


def test_a_changed_setting_starts_every_pod_anew_that_reads_it(tmp_path: Path) -> None:
    changed = chart_with(tmp_path, {"config": {"SLUICE_KEEP_S": 1}})
    for each in of_kind(chart("minimal"), "Deployment"):
        name, key = each["metadata"]["name"], "checksum/config"
        other = one(changed, "Deployment", name)["spec"]["template"]["metadata"]["annotations"][key]
        assert each["spec"]["template"]["metadata"]["annotations"][key] != other


@every_set
def test_every_pod_runs_the_one_image_by_its_digest(name: str) -> None:
    (image,) = {container["image"] for container in containers(chart(name))}
    if name == "httproute":
        assert image == "ghcr.io/sluice-jobs/sluice:local"
    else:
        assert re.fullmatch(r"[a-z./-]+@sha256:[0-9a-f]{64}", image)


@every_set
def test_a_selector_fits_the_pods_of_its_object_and_no_others(name: str) -> None:
    objects = chart(name)
    pods = {
        each["metadata"]["name"]: each["spec"]["template"] for each in of_kind(objects, "Deployment", "Job")
    }
    for each in of_kind(objects, "Deployment", "PodDisruptionBudget", "Service"):
        selector = each["spec"]["selector"]
        selector = {"matchLabels": selector} if each["kind"] == "Service" else selector
        fitting = {pod for pod, template in pods.items() if selects(selector, template["metadata"]["labels"])}
        of = each["metadata"]["name"].removesuffix("-private")
        assert fitting == {pod for pod in pods if pod == of or pod.startswith(f"{of}-consumer-")} or (
            of.endswith("-consumer") and fitting == {pod for pod in pods if pod.startswith(f"{of}-")}
        )
        assert fitting


@every_set
def test_every_deployment_may_lose_one_pod_at_a_time_and_replaces_none_before_another_serves(
    name: str,
) -> None:
    objects = chart(name)
    for each in of_kind(objects, "Deployment"):
        budget = one(objects, "PodDisruptionBudget", each["metadata"]["name"])["spec"]
        assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
        assert each["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        spread = each["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {rule["topologyKey"] for rule in spread} == {
            "topology.kubernetes.io/zone", "kubernetes.io/hostname",
        }  # fmt: skip


@every_set
def test_a_service_leads_to_a_port_of_its_pods(name: str) -> None:
    objects = chart(name)
    for service in of_kind(objects, "Service"):
        for each in of_kind(objects, "Deployment"):
            template = each["spec"]["template"]
            if selects({"matchLabels": service["spec"]["selector"]}, template["metadata"]["labels"]):
                named = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
                assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
