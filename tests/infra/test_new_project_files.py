"""What `sluice new` writes for machines that are not Python passes the checks that ours pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks import tools
from infra.checks.check import Check, run
from infra.checks.table import CHECKS
from sluice.cli import main

MADE_UP = dict.fromkeys(
    ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "SLUICE_KEY_PEPPER"), "made-up"
)
SAME = ("workflows", "workflows, schema", "workflows, safety")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it has written."""
    place = tmp_path_factory.mktemp("new") / "acme-media"
    assert main(["new", str(place)]) == 0
    return place


@pytest.mark.timeout(600)  # the first time it installs the tools
@pytest.mark.parametrize("name", SAME)
def test_it_passes_the_check_that_ours_passes(project: Path, name: str) -> None:
    tools.install()
    [row] = [each for each in CHECKS if each.name == name]
    assert (found := run(row, project)).verdict == "ok", found.said


@pytest.mark.timeout(600)  # the same
def test_its_yaml_is_written_as_ours(project: Path) -> None:
    tools.install()
    lint = Check(
        "YAML",
        ("yamllint", "--strict", f"--config-file={tools.ROOT / '.yamllint.yaml'}"),
        ("*.yml", ".github/**/*.yml"),
    )
    assert (found := run(lint, project)).verdict == "ok", found.said


@pytest.mark.timeout(600)  # the same
@pytest.mark.parametrize("command", [("hadolint",), CHECKS[1].command[:-2]], ids=["lint", "safety"])
def test_its_image_passes_the_checks_of_ours(project: Path, command: tuple[str, ...]) -> None:
    tools.install()
    assert (found := run(Check("image", command, ("Dockerfile",)), project)).verdict == "ok", found.said


@pytest.mark.timeout(600)  # the same
def test_compose_runs_its_image_in_each_of_our_processes(project: Path) -> None:
    tools.install()
    ours = str(tools.ROOT / "docker-compose.yml")
    command = ("docker-compose", "-f", ours, "-f", "compose.override.yml", "config")
    found = run(Check("services", command, env=MADE_UP | {"PWD": str(project)}), project)
    assert found.verdict == "ok", found.said
    services = yaml.safe_load(found.said)["services"]
    for each in (services[name] for name in ("api", "consumer", "migrate")):
        assert (each["image"], each["build"]["context"]) == ("acme-media:local", str(project))
        assert each["build"]["dockerfile"] == "Dockerfile"
        assert each["environment"]["SLUICE_HANDLERS"] == "acme_media.words"
        assert each["command"][0] == "sluice"
