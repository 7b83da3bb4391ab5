"""The overlays of the environments, and the servers beside the chart."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks import manifests, tools
from infra.checks.manifests import OVERLAYS, Manifest
from infra.checks.tools import ROOT
from sluice.core.runtime.load_settings import load_settings
from tests.infra.rendered import containers, environment, of_kind, one, selects, templates

SERVERS = ROOT / "infra/kubernetes/servers"
ENVIRONMENTS = sorted(each.name for each in OVERLAYS.iterdir())
every_environment = pytest.mark.parametrize("name", ENVIRONMENTS)
NOT_OF_THE_OPERATOR = {"fsync", "synchronous_commit", "full_page_writes"}
"""Settings of PostgreSQL that are on by default, and that Sluice checks itself."""
SIZED = {
    "shared_buffers",
    "maintenance_work_mem",
    "max_connections",
    "wal_compression",
    "disk_free_limit.absolute",
}
"""Settings that differ with the machine."""


@cache
def overlay(name: str) -> list[Manifest]:
    """All objects of an environment."""
    tools.install()
    return manifests.parse(manifests.build(OVERLAYS / name))


def settings_of(text: str) -> dict[str, str]:
    """The settings of a file of PostgreSQL or RabbitMQ: name = value, behind which there may be a comment."""
    lines = (re.sub(r"\s*#.*", "", line) for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line)
    return {name.strip(): value.strip().strip("'") for name, _, value in pairs}


@every_environment
def test_everything_of_an_environment_is_in_its_namespace_which_refuses_what_may_do_more(name: str) -> None:
    objects = overlay(name)
    (namespace,) = of_kind(objects, "Namespace")
    assert namespace["metadata"]["name"] == f"sluice-{name}"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {each["metadata"].get("namespace") for each in objects if each is not namespace} == {
        f"sluice-{name}"
    }
    assert {each["metadata"]["labels"]["environment"] for each in objects} == {name}


@every_environment
def test_the_chart_of_an_environment_has_its_values(name: str) -> None:
    values = yaml.safe_load((ROOT / f"infra/gitops/envs/{name}/values.yaml").read_text())
    release = yaml.safe_load((ROOT / f"infra/gitops/envs/{name}/release.yaml").read_text())
    api = one(overlay(name), "Deployment", "sluice-api")
    assert api["spec"]["template"]["spec"]["containers"][0]["image"].endswith(
        f"@{release['image']['digest']}"
    )
    groups = {each["metadata"]["name"] for each in of_kind(overlay(name), "Deployment")} - {"sluice-api"}
    assert groups == {f"sluice-consumer-{group}" for group, given in values["consumers"].items() if given}


@every_environment
def test_only_developers_are_shown_the_documentation_of_the_api(name: str) -> None:
    (container,) = one(overlay(name), "Deployment", "sluice-api")["spec"]["template"]["spec"]["containers"]
    assert environment(overlay(name), container)["SLUICE_DOCS"] == ("true" if name == "dev" else "false")


@every_environment
def test_every_container_is_bounded_and_may_do_no_more_than_it_must(name: str) -> None:
    for template in templates(overlay(name)):
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(overlay(name)):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


@every_environment
def test_no_secret_is_in_an_environment_and_no_image_is_left_to_chance(name: str) -> None:
    objects = overlay(name)
    assert of_kind(objects, "Secret") == []
    images = [container["image"] for container in containers(objects)]
    images += [each["spec"]["imageName"] for each in of_kind(objects, "Cluster")]
    images += [each["spec"]["image"] for each in of_kind(objects, "RabbitmqCluster")]
    for image in images:
        digest = re.search(r"@sha256:[0-9a-f]{64}$", image)
        version = re.search(r":\d+\.\d+(\.\d+)?(-management)?$", image)
        assert digest if image.startswith("ghcr.io/sluice-jobs/") else digest or version, image


@every_environment
def test_policies_let_processes_reach_the_servers_that_are_there(name: str) -> None:
    values = yaml.safe_load((ROOT / f"infra/gitops/envs/{name}/values.yaml").read_text())["servers"]
    labels = [template["metadata"]["labels"] for template in templates(overlay(name))]
    labels += [{"cnpg.io/cluster": each["metadata"]["name"]} for each in of_kind(overlay(name), "Cluster")]
    labels += [
        {"app.kubernetes.io/name": each["metadata"]["name"]}
        for each in of_kind(overlay(name), "RabbitmqCluster")
    ]
    for server in values.values():
        for peer in server["to"]:
            assert any(selects(peer["podSelector"], each) for each in labels), peer


def made_secret() -> dict[str, str]:
    """What infra/kubernetes/secret.sh prints."""
    done = subprocess.run([ROOT / "infra/kubernetes/secret.sh"], capture_output=True, text=True, check=True)
    secret: dict[str, Any] = yaml.safe_load(done.stdout)
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", "sluice")
    return dict(secret["stringData"])


def test_the_secret_of_a_try_out_has_every_key_that_is_asked_for_and_passwords_of_its_own() -> None:
    made, again = made_secret(), made_secret()
    asked = {
        each["valueFrom"]["secretKeyRef"]["key"]
        for container in containers(overlay("dev"))
        for each in container["env"]
        if "valueFrom" in each
    }
    assert asked == made.keys()
    assert set(made.values()).isdisjoint(again.values())
    for server in ("POSTGRES", "REDIS", "RABBITMQ"):
        assert f":{made[f'{server}_PASSWORD']}@{server.lower()}:" in made[f"SLUICE_{server}_URL"]


def test_processes_of_a_try_out_take_what_they_are_given() -> None:
    made = made_secret()
    for each in of_kind(overlay("dev"), "Deployment"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        given = environment(overlay("dev"), container)
        assert load_settings({**given, **{name: made[name] for name in given if name in made}})


def test_servers_of_a_try_out_have_the_files_of_the_compose_project() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for server in ("postgres", "rabbitmq", "redis"):
        (mounted,) = [
            each
            for each in of_kind(overlay("dev"), "ConfigMap")
            if each["metadata"]["name"].startswith(f"{server}-")
        ]
        files = [ROOT / mount.split(":")[0] for mount in compose[server]["volumes"] if mount.startswith("./")]
        assert sorted(mounted["data"].values()) == sorted(file.read_text() for file in files)
        image = one(overlay("dev"), "StatefulSet", server)["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]
        releases = [re.search(r":(\d+)", each) for each in (image, compose[server]["image"])]
        assert len({release and release[1] for release in releases}) == 1


def test_commit_waits_for_a_standby_and_the_record_is_kept_as_we_ask() -> None:
    cluster = one(overlay("prod"), "Cluster", "sluice-record")["spec"]
    assert cluster["instances"] == 3
    assert cluster["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
    }
    wanted = settings_of((ROOT / "infra/postgres/postgresql.conf").read_text())
    given = cluster["postgresql"]["parameters"]
    assert given.keys() == wanted.keys() - NOT_OF_THE_OPERATOR
    assert {name: given[name] for name in given if name not in SIZED} == {
        name: value for name, value in wanted.items() if name not in SIZED | NOT_OF_THE_OPERATOR
    }


def test_the_broker_has_three_nodes_and_our_settings() -> None:
    broker = one(overlay("prod"), "RabbitmqCluster", "sluice-rabbitmq")["spec"]
    assert broker["replicas"] == 3
    given = settings_of(broker["rabbitmq"]["additionalConfig"])
    wanted = settings_of((ROOT / "infra/rabbitmq/rabbitmq.conf").read_text())
    assert {name: given.get(name) for name in wanted if name not in SIZED} == {
        name: value for name, value in wanted.items() if name not in SIZED
    }
    assert given["quorum_queue.continuous_membership_reconciliation.enabled"] == "true"
    assert given["cluster_partition_handling"] == "pause_minority"


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_pods_of_the_broker_are_such_as_their_namespace_takes(name: str) -> None:
    broker = one(overlay(name), "RabbitmqCluster", "sluice-rabbitmq")["spec"]
    spec = broker["override"]["statefulSet"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    named = {each["name"]: each["securityContext"] for each in spec["initContainers"] + spec["containers"]}
    contained = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert named == {"setup-container": contained, "rabbitmq": contained}


def test_no_two_pods_of_a_server_share_a_machine() -> None:
    objects = overlay("prod")
    assert one(objects, "Cluster", "sluice-record")["spec"]["affinity"]["podAntiAffinityType"] == "required"
    broker = one(objects, "RabbitmqCluster", "sluice-rabbitmq")["spec"]["affinity"]
    redis = one(objects, "StatefulSet", "redis")["spec"]["template"]
    for affinity, labels in (
        (broker, {"app.kubernetes.io/name": "sluice-rabbitmq"}),
        (redis["spec"]["affinity"], redis["metadata"]["labels"]),
    ):
        (rule,) = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert rule["topologyKey"] == "kubernetes.io/hostname"
        assert selects(rule["labelSelector"], labels)
