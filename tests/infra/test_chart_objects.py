"""What the chart renders beside pods: autoscalers, hooks, routes, what is scraped."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import orjson
import pytest

from infra.checks import tools
from infra.checks.manifests import CHART, TRIAL, Refused, parse, render, run, sets_of_values
from sluice import __version__
from sluice.core.runtime.settings import Settings
from tests.infra.rendered import (
    SETS,
    chart,
    chart_with,
    component,
    environment,
    of_kind,
    one,
    selects,
    templates,
)

OBSERVABILITY = tools.ROOT / "infra/observability"
every_set = pytest.mark.parametrize("name", SETS)


def test_the_replicas_of_a_deployment_are_the_autoscalers_where_there_is_one() -> None:
    replicas = {
        name: {
            each["metadata"]["name"]: each["spec"].get("replicas")
            for each in of_kind(chart(name), "Deployment")
        }
        for name in ("minimal", "keda", "hpa")
    }
    assert replicas["minimal"] == {
        "sluice-api": 2, "sluice-consumer-default": 2, "sluice-consumer-heavy": 1,
    }  # fmt: skip
    assert replicas["keda"] == {
        "sluice-api": 2,
        "sluice-consumer-default": None,
        "sluice-consumer-heavy": None,
    }
    assert replicas["hpa"] == {"sluice-api": None, "sluice-consumer-default": None}


def test_hpa_goes_by_processor_time_and_takes_pods_away_slowly() -> None:
    found = {
        each["metadata"]["name"]: each["spec"] for each in of_kind(chart("hpa"), "HorizontalPodAutoscaler")
    }
    assert set(found) == {"sluice-api", "sluice-consumer-default"}
    api = found["sluice-api"]
    assert (api["minReplicas"], api["maxReplicas"]) == (3, 12)
    assert api["scaleTargetRef"]["name"] == "sluice-api"
    assert api["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    assert api["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
    }  # fmt: skip


def test_keda_asks_the_private_port_of_the_api_what_the_lanes_of_a_group_want() -> None:
    objects = chart("keda")
    heavy = one(objects, "ScaledObject", "sluice-consumer-heavy")["spec"]
    assert heavy["scaleTargetRef"] == {"name": "sluice-consumer-heavy"}
    assert (heavy["minReplicaCount"], heavy["maxReplicaCount"]) == (0, 8)
    (trigger,) = heavy["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("metrics-api", "AverageValue")
    service = one(objects, "Service", "sluice-api-private")
    place = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert trigger["metadata"] == {
        "url": f"http://{place}:{service['spec']['ports'][0]['port']}/scaling?lanes=heavy&wait_target_s=300",
        "valueLocation": "wanted",
        "targetValue": "1",
    }


def test_keda_takes_no_pod_away_because_nobody_answers() -> None:
    for each in of_kind(chart("keda"), "ScaledObject"):
        fallback = each["spec"]["fallback"]
        assert fallback["behavior"] == "currentReplicasIfHigher"
        assert fallback["replicas"] >= each["spec"]["minReplicaCount"]
        down = each["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] == 300
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 120}]


@every_set
def test_the_migration_runs_before_anything_else_and_has_nothing_of_the_release(name: str) -> None:
    (job,) = [each for each in of_kind(chart(name), "Job") if component(each) == "migrate"]
    assert job["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        "argocd.argoproj.io/hook": "PreSync",
        "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation,HookSucceeded",
    }
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["command"] == ["sluice", "migrate"]
    assert "envFrom" not in spec["containers"][0]
    assert "serviceAccountName" not in spec
    assert (spec["restartPolicy"], job["spec"]["activeDeadlineSeconds"]) == ("Never", 600)


def test_the_migration_goes_past_a_pooler_where_it_has_an_address_of_its_own(tmp_path: Path) -> None:
    objects = chart_with(tmp_path, {"migrate": {"postgres": {"secret": "direct", "key": "uri"}}})
    (job,) = of_kind(objects, "Job")
    found = environment(objects, job["spec"]["template"]["spec"]["containers"][0])
    assert found["SLUICE_POSTGRES_URL"] == "direct/uri"
    for each in of_kind(objects, "Deployment"):
        given = environment(objects, each["spec"]["template"]["spec"]["containers"][0])
        assert given["SLUICE_POSTGRES_URL"] == "sluice/SLUICE_POSTGRES_URL"


def test_another_image_has_another_job_as_jobs_cannot_be_changed(tmp_path: Path) -> None:
    other = chart_with(
        tmp_path, {"image": {"digest": f"sha256:{'3' * 64}"}, "smokeTest": {"enabled": True}}, "full"
    )
    names = [
        {each["metadata"]["name"] for each in of_kind(objects, "Job")} for objects in (chart("full"), other)
    ]
    assert len(names[0]) == len(names[1]) == 2
    assert names[0].isdisjoint(names[1])


def test_an_ingress_has_tls_and_leads_to_the_api() -> None:
    spec = one(chart("full"), "Ingress", "jobs-api")["spec"]
    assert spec["tls"] == [{"hosts": ["jobs.example.com"], "secretName": "jobs-tls"}]
    (rule,) = spec["rules"]
    assert rule["host"] == "jobs.example.com"
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "jobs-api", "port": {"name": "http"}}}


def test_a_gateway_waits_longer_than_a_client_may_ask_to() -> None:
    spec = one(chart("httproute"), "HTTPRoute", "sluice-api")["spec"]
    assert (spec["hostnames"], spec["parentRefs"][0]["name"]) == (["jobs.example.com"], "public")
    (rule,) = spec["rules"]
    assert int(rule["timeouts"]["request"].removesuffix("s")) > Settings.model_fields["wait_cap_s"].default
    service = one(chart("httproute"), "Service", "sluice-api")
    assert rule["backendRefs"] == [{"name": "sluice-api", "port": service["spec"]["ports"][0]["port"]}]


def test_what_is_scraped_are_both_private_ports() -> None:
    objects = chart("full")
    monitor = one(objects, "ServiceMonitor", "jobs")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    scraped = {
        each["metadata"]["name"]
        for each in of_kind(objects, "Service")
        if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
    }
    assert scraped == {"jobs-api-private", "jobs-consumer-private"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("private", "/metrics")
    assert monitor["spec"]["podTargetLabels"] == ["app.kubernetes.io/component", "sluice/group"]


def test_scraped_processes_are_the_jobs_that_the_alerts_know() -> None:
    objects = chart("full")
    label = one(objects, "ServiceMonitor", "jobs")["spec"]["jobLabel"]
    jobs = {
        each["metadata"]["labels"].get(label)
        for each in of_kind(objects, "Service")
        if each["metadata"]["name"].endswith("-private")
    }
    alerts = "".join(file.read_text() for file in OBSERVABILITY.glob("prometheus/rules/*.yml"))
    assert jobs == {"sluice-api", "sluice-consumer"}
    assert all(f'job="{job}"' in alerts for job in jobs)


def test_every_dashboard_of_the_repository_is_rendered_as_it_is() -> None:
    assert one(chart("full"), "PrometheusRule", "jobs")["metadata"]["labels"]["release"] == "prometheus"
    dashboards = {file.name: file for file in OBSERVABILITY.glob("grafana/dashboards/*.json")}
    assert dashboards
    for name, file in dashboards.items():
        rendered = one(chart("full"), "ConfigMap", f"jobs-dashboard-{file.stem}")
        assert rendered["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert orjson.loads(rendered["data"][name]) == orjson.loads(file.read_bytes())


def test_a_packaged_chart_holds_rules_and_dashboards_themselves_and_no_links(tmp_path: Path) -> None:
    tools.install()
    run("helm", "package", str(CHART), f"--destination={tmp_path}")
    with tarfile.open(tmp_path / f"sluice-{__version__}.tgz") as package:
        members = {member.name: member for member in package.getmembers()}
    assert all(member.isreg() for member in members.values())
    for source in (
        *OBSERVABILITY.glob("prometheus/rules/*.yml"),
        *OBSERVABILITY.glob("grafana/dashboards/*.json"),
    ):
        assert members[f"sluice/files/{source.parent.name}/{source.name}"].size == source.stat().st_size


@pytest.mark.parametrize("what", ["rules", "dashboards"])
def test_a_copy_of_the_chart_that_lost_its_links_says_so(what: str, tmp_path: Path) -> None:
    tools.install()
    copy = shutil.copytree(CHART, tmp_path / "sluice")
    shutil.rmtree(copy / "files" / what)
    values = [f"--values={file}" for file in sets_of_values()["minimal"]]
    with pytest.raises(Refused, match=f"this copy of the chart holds no {what}"):
        run("helm", "template", "sluice", str(copy), *values, f"--set=monitoring.{what}.enabled=true")


def test_the_smoke_test_runs_a_job_of_the_configured_kind_with_a_key_from_a_secret() -> None:
    objects = chart("full")
    (job,) = [each for each in of_kind(objects, "Job") if component(each) == "smoke-test"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PostSync"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found = environment(objects, container)
    assert found["SLUICE_API_KEY"] == "smoke-test/SLUICE_API_KEY"
    assert found["SLUICE_URL"] == "http://jobs-api:80"
    assert orjson.loads(found["SMOKE_JOB"]) == {"kind": "demo.sum", "input": {"values": [1, 2, 3]}}
    assert container["command"] == ["python", "-c", (CHART / "files/smoke_test.py").read_text()]
    assert of_kind(chart("minimal"), "Job") == [
        each for each in of_kind(chart("minimal"), "Job") if component(each) == "migrate"
    ]


def test_the_trial_cluster_has_one_of_everything_that_a_job_needs_and_a_group_that_keda_scales() -> None:
    tools.install()
    objects = parse(render([TRIAL]))
    assert {
        container["image"] for each in templates(objects) for container in each["spec"]["containers"]
    } == {"sluice:ci"}
    assert [each["metadata"]["name"] for each in of_kind(objects, "ScaledObject")] == [
        "sluice-consumer-heavy"
    ]
    assert {component(each) for each in of_kind(objects, "Job")} == {"migrate", "smoke-test"}
    workflow = (tools.ROOT / ".github/workflows/cluster.yml").read_text()
    assert f"--values {TRIAL.relative_to(tools.ROOT)}" in workflow
    assert "sluice:ci" in workflow


def test_labels_annotations_and_extra_objects_are_passed_on() -> None:
    objects = chart("full")
    for template in templates(objects):
        assert template["metadata"]["labels"]["team"] == "platform"
        assert template["metadata"]["annotations"]["reloader.stakater.com/auto"] == "true"
    assert one(objects, "ConfigMap", "beside")["data"] == {"a": "b"}


def test_nothing_that_is_rendered_depends_on_a_cluster_or_on_chance() -> None:
    sources = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    assert re.findall(r"\b(?:lookup|rand[A-Z]\w+|gen[A-Z]\w+|uuidv4|now|expandenv)\b", sources) == []


def test_the_chart_is_of_the_release_of_the_product() -> None:
    told = dict(re.findall(r"^(\w+): \"?([^\"\n]+)", (CHART / "Chart.yaml").read_text(), re.MULTILINE))
    assert (told["version"], told["appVersion"]) == (__version__, __version__)
    assert told["kubeVersion"] == ">=1.29.0-0"
