"""Argo CD's applications as it would make them, and whether what they name is there and allowed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks import manifests, tools
from infra.checks.manifests import GITOPS, Manifest
from infra.checks.tools import ROOT
from sluice import __version__
from tests.infra.rendered import of_kind

STAGES = ("dev", "staging", "prod")
REPOSITORY = "https://github.com/sluice-jobs/sluice.git"
CHARTS = "ghcr.io/sluice-jobs/charts"
MEMBER = re.compile(r"\{\{\.([\w.]+)\}\}")


@cache
def read(path: Path) -> Any:
    """A file of YAML."""
    return yaml.safe_load(path.read_text())


def environment(stage: str) -> Manifest:
    """The parameters that the generators of an environment give: env.yaml, and release.yaml beside it."""
    directory = GITOPS / "envs" / stage
    return {**read(directory / "env.yaml"), **read(directory / "release.yaml")}


def filled_in(value: Any, parameters: Manifest) -> Any:
    """A template with its members filled in; KeyError for one that is missing, as with missingkey=error."""
    if isinstance(value, dict):
        return {key: filled_in(each, parameters) for key, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, parameters) for each in value]
    return MEMBER.sub(lambda found: look_up(found[1], parameters), value) if isinstance(value, str) else value


def look_up(member: str, parameters: Any) -> str:
    """The parameter `a.b`."""
    for part in member.split("."):
        parameters = parameters[part]
    return str(parameters)


def application(applicationset: str, stage: str) -> Manifest:
    """What an ApplicationSet makes for an environment, with its patch."""
    spec = read(GITOPS / f"applicationsets/{applicationset}.yaml")["spec"]
    parameters = environment(stage)
    made: Manifest = filled_in(spec["template"], parameters)
    patch = re.fullmatch(
        r"\{\{- if \.automatic \}\}\n(.*)\n\{\{- end \}\}\n", spec["templatePatch"], re.DOTALL
    )
    assert patch is not None
    if parameters["automatic"]:
        made["spec"]["syncPolicy"] |= yaml.safe_load(patch[1])["spec"]["syncPolicy"]
    return made


every_stage = pytest.mark.parametrize("stage", STAGES)
every_application = pytest.mark.parametrize(
    ("applicationset", "stage"), [(which, stage) for which in ("sluice", "servers") for stage in STAGES]
)


def sources(spec: Manifest) -> list[Manifest]:
    """Where an application comes from."""
    return list(spec.get("sources") or [spec["source"]])


@every_application
def test_everything_that_an_application_is_made_of_is_here(applicationset: str, stage: str) -> None:
    references = {
        each["ref"]: ROOT for each in sources(application(applicationset, stage)["spec"]) if "ref" in each
    }
    for source in sources(application(applicationset, stage)["spec"]):
        if "path" in source:
            assert (ROOT / source["path"] / "kustomization.yaml").exists()
        for file in source.get("helm", {}).get("valueFiles", []):
            reference, _, path = file.removeprefix("$").partition("/")
            assert (references[reference] / path).is_file()


@every_application
def test_the_project_allows_an_application_its_sources_and_its_place(applicationset: str, stage: str) -> None:
    project = read(GITOPS / "projects/sluice.yaml")
    spec = application(applicationset, stage)["spec"]
    assert spec["project"] == project["metadata"]["name"]
    assert {source["repoURL"] for source in sources(spec)} <= set(project["spec"]["sourceRepos"])
    (allowed,) = project["spec"]["destinations"]
    assert spec["destination"]["server"] == allowed["server"]
    assert re.fullmatch(allowed["namespace"].replace("*", ".*"), spec["destination"]["namespace"])


@every_stage
def test_the_project_allows_every_kind_that_is_rendered_and_no_secret(stage: str) -> None:
    tools.install()
    project = read(GITOPS / "projects/sluice.yaml")["spec"]
    allowed = {
        (each["group"], each["kind"])
        for each in project["namespaceResourceWhitelist"] + project["clusterResourceWhitelist"]
    }
    rendered = manifests.parse(manifests.build(ROOT / f"infra/kubernetes/overlays/{stage}"))
    kinds = {(each["apiVersion"].rpartition("/")[0], each["kind"]) for each in rendered}
    assert kinds <= allowed
    assert ("", "Secret") not in allowed


@every_stage
def test_the_overlay_and_argo_cd_deploy_the_same(stage: str) -> None:
    overlay = read(ROOT / f"infra/kubernetes/overlays/{stage}/kustomization.yaml")
    (chart,) = overlay["helmCharts"]
    directory = ROOT / f"infra/kubernetes/overlays/{stage}"
    files = [chart["valuesFile"], *chart["additionalValuesFiles"]]
    given = [str((directory / file).resolve().relative_to(ROOT)) for file in files]
    spec = application("sluice", stage)["spec"]
    helm = sources(spec)[0]["helm"]
    assert helm["valueFiles"] == [f"$envs/{file}" for file in given]
    assert helm["releaseName"] == chart["releaseName"]
    assert spec["destination"]["namespace"] == overlay["namespace"] == chart["namespace"]
    servers = sources(application("servers", stage)["spec"])[0]["path"]
    assert str((directory / overlay["resources"][0]).resolve().relative_to(ROOT)) == servers


def test_dev_and_staging_follow_by_themselves_and_prod_waits_for_a_person() -> None:
    automatic = {
        stage: application("sluice", stage)["spec"]["syncPolicy"].get("automated") for stage in STAGES
    }
    assert automatic == {
        "dev": {"prune": True, "selfHeal": True}, "staging": {"prune": True, "selfHeal": True}, "prod": None,
    }  # fmt: skip
    (window,) = read(GITOPS / "projects/sluice.yaml")["spec"]["syncWindows"]
    assert window["kind"] == "allow"
    names = {application(which, "prod")["metadata"]["name"] for which in ("sluice", "servers")}
    assert set(window["applications"]) == names


def test_servers_come_before_what_needs_them_and_are_never_removed() -> None:
    waves = {
        name: int(read(GITOPS / name)["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for name in ("projects/sluice.yaml", "applicationsets/servers.yaml", "applicationsets/sluice.yaml")
    }
    assert list(waves.values()) == [-3, -2, 0]
    for stage in STAGES:
        policy = application("servers", stage)["spec"]["syncPolicy"]
        assert {"Prune=false", "Delete=false"} <= set(policy["syncOptions"])
        assert not policy.get("automated", {}).get("prune")


@every_stage
def test_replicas_come_from_git_or_from_an_autoscaler_which_git_does_not_speak_of(stage: str) -> None:
    assert "ignoreDifferences" not in application("sluice", stage)["spec"], (
        "a changed number would never arrive"
    )
    tools.install()
    objects = manifests.parse(manifests.build(ROOT / f"infra/kubernetes/overlays/{stage}"))
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    }
    deployments = of_kind(objects, "Deployment")
    assert {each["metadata"]["name"] for each in deployments if "replicas" not in each["spec"]} == scaled
    assert deployments


@every_stage
def test_a_stage_runs_a_version_of_the_chart_and_an_image_by_its_digest(stage: str) -> None:
    release = read(GITOPS / f"envs/{stage}/release.yaml")
    assert set(release) == {"global", "image"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", release["global"]["chartVersion"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", release["image"]["digest"])
    source = sources(application("sluice", stage)["spec"])[0]
    assert (source["repoURL"], source["chart"]) == (CHARTS, "sluice")
    assert source["targetRevision"] == release["global"]["chartVersion"] <= __version__


@every_stage
def test_nothing_but_the_release_differs_in_a_file_that_promotion_copies(stage: str) -> None:
    lines = (GITOPS / f"envs/{stage}/release.yaml").read_text().splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith("#")] == ["global", "image"]


def test_the_root_finds_every_object_and_nothing_else() -> None:
    source = read(GITOPS / "bootstrap/root.yaml")["spec"]["source"]
    assert (source["repoURL"], source["path"]) == (REPOSITORY, "infra/gitops")
    patterns = source["directory"]["include"].strip("{}").split(",")
    found = {path for pattern in patterns for path in GITOPS.glob(pattern)}
    assert {path.relative_to(GITOPS).parts[0] for path in found} == {"projects", "applicationsets"}
    objects = [read(path) for path in found]
    assert len(of_kind(objects, "AppProject", "ApplicationSet")) == len(objects) == 3


def test_generators_read_the_files_of_the_environments() -> None:
    for name in ("sluice", "servers"):
        spec = read(GITOPS / f"applicationsets/{name}.yaml")["spec"]
        (generator,) = spec["generators"]
        first = generator["matrix"]["generators"][0] if "matrix" in generator else generator
        (files,) = first["git"]["files"]
        assert {path.parent.name for path in ROOT.glob(files["path"])} == set(STAGES)
    second = read(GITOPS / "applicationsets/sluice.yaml")["spec"]["generators"][0]["matrix"]["generators"][1]
    for stage in STAGES:
        assert (ROOT / filled_in(second["git"]["files"][0]["path"], environment(stage))).is_file()
