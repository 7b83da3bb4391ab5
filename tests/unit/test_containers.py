"""The rules of Dockerfile and docker-compose.yml that can be checked by reading them; `make test-containers` runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.docker.trial.images import PYTHON, SERVERS
from sluice.core.runtime.dot_env import read_dot_env
from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
WATCHING = {
    name: service for name, service in SERVICES.items() if service.get("profiles") == ["observability"]
}
NOT_IN_DEBIAN = {"loki", "vector", "grafana"}
DEFAULT_SHARES = 1024
SECRETS = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "SLUICE_KEY_PEPPER"}

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def instructions(name: str) -> list[str]:
    """What follows each instruction of this name in the Dockerfile."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


def test_every_stage_comes_from_the_one_base() -> None:
    assert {stage.split()[0] for stage in instructions("FROM")} == {"${PYTHON_IMAGE}"}
    assert re.fullmatch(rf"PYTHON_IMAGE={re.escape(PYTHON)}@sha256:[0-9a-f]{{64}}", instructions("ARG")[0])


def test_the_image_runs_as_nobody_who_exists_elsewhere() -> None:
    assert instructions("USER") == ["10001:10001"]


def test_packages_come_from_the_lock_with_their_hashes_and_are_never_built() -> None:
    install, own = [line for line in instructions("RUN") if " install " in line and "pip" in line]
    assert "--require-hashes --only-binary :all: -r /tmp/requirements.txt" in install
    assert "if [ -e /tmp/own-requirements.txt ]" in own
    assert "-c /tmp/bounds.txt -r /tmp/own-requirements.txt" in own, "within what the lock holds"


def test_the_image_has_no_frontend_to_fetch_and_nothing_from_the_network_but_packages() -> None:
    assert not DOCKERFILE.startswith("# syntax")
    assert instructions("ADD") == []
    assert not re.search(r"\b(curl|wget|apt-get)\b", DOCKERFILE)


def test_only_what_the_image_copies_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.replace("[t]", "t")  # a pattern, as the file may be missing
        for line in instructions("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    }
    assert sent == copied
    assert "\n*\n" in (ROOT / ".dockerignore").read_text()


def test_the_servers_are_those_that_the_trial_can_stand_in_for() -> None:
    known = {name: service for name, service in SERVICES.items() if name not in {*OURS, *NOT_IN_DEBIAN}}
    assert {service["image"] for service in known.values()} == set(SERVERS)


def test_what_watches_is_started_only_if_asked_for_and_of_one_release() -> None:
    assert set(WATCHING) == {"prometheus", "alertmanager", "loki", "vector", "grafana"}
    assert all(re.search(r":v?\d+\.\d+\.\d+(-alpine)?$", service["image"]) for service in WATCHING.values())
    assert not {*WATCHING} & {name for each in OURS.values() for name in each["depends_on"]}


def test_what_watches_has_no_way_out_but_to_who_is_called_and_to_who_looks() -> None:
    assert yaml.safe_load(COMPOSE)["networks"]["monitoring"] == {"internal": True}
    out = {name for name, service in WATCHING.items() if service["networks"] != ["monitoring"]}
    assert out == {"alertmanager", "grafana"}


def test_nobody_logs_in_to_grafana_and_nobody_rules_there() -> None:
    told = WATCHING["grafana"]["environment"]
    assert told["GF_AUTH_ANONYMOUS_ORG_ROLE"] != "Admin"
    assert told["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == told["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert not [name for name in told if "PASSWORD" in name]
    provisioning = ROOT / "infra/observability/grafana/provisioning"
    assert "allowUiUpdates: false" in (provisioning / "dashboards/sluice.yml").read_text()


def test_only_what_reads_the_files_of_docker_is_root_and_it_writes_nothing_but_its_own() -> None:
    assert {name for name, each in SERVICES.items() if each.get("user", "").startswith("0")} == {"vector"}
    mounts = [mount.split(":") for mount in WATCHING["vector"]["volumes"]]
    assert [mount[0] for mount in mounts if mount[2:] != ["ro"]] == ["places"]
    assert "/var/run/docker.sock" not in COMPOSE


@every_service
def test_a_container_can_do_no_more_than_it_must(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "build" in service or service["user"] != "root"


@every_service
def test_a_container_is_bounded(service: dict[str, Any]) -> None:
    assert {"mem_limit", "pids_limit", "logging"} <= set(service)


def test_a_consumer_gives_way_to_everything_else() -> None:
    shares = {name: service.get("cpu_shares", DEFAULT_SHARES) for name, service in SERVICES.items()}
    assert shares.pop("consumer") <= DEFAULT_SHARES / 8
    assert set(shares.values()) == {DEFAULT_SHARES}


@every_service
def test_a_container_says_how_it_is(service: dict[str, Any]) -> None:
    check = service["healthcheck"]
    ends_by_itself = service["restart"] == "no"
    assert check.get("disable", False) is ends_by_itself
    assert ends_by_itself or check["test"][0] == "CMD"


def test_only_the_api_and_grafana_are_published_and_by_default_to_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["${SLUICE_API_HOST:-127.0.0.1}:${SLUICE_API_PORT:-8000}:8000"],
        "grafana": ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"],
    }


def test_servers_have_no_way_out() -> None:
    assert yaml.safe_load(COMPOSE)["networks"]["servers"] == {"internal": True}
    servers = [each for name, each in SERVICES.items() if name not in {*OURS, *WATCHING}]
    assert {tuple(service["networks"]) for service in servers} == {("servers",)}


def test_webhooks_and_handlers_can_leave_and_names_are_found() -> None:
    """Docker forwards names that it does not know only for containers on a network that is not internal."""
    networks = yaml.safe_load(COMPOSE)["networks"]
    out = {name for name, each in networks.items() if not (each or {}).get("internal")}
    assert out == {"outside"}
    assert all(out & set(SERVICES[name]["networks"]) for name in ("api", "consumer"))
    assert not out & set(SERVICES["migrate"]["networks"])


def test_nothing_starts_before_the_schema_is_there_and_the_schema_waits_for_postgresql() -> None:
    for name in ("api", "consumer"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_no_secret_has_a_default() -> None:
    asked = re.findall(r"\$\{(\w+)(:\?|[^}])", COMPOSE)
    assert {name for name, how in asked if how == ":?"} == SECRETS
    assert {name for name, how in asked if name in SECRETS and how != ":?"} == set()


def test_what_is_set_for_our_processes_are_settings() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert all(set(service["environment"]) <= known for service in OURS.values())


def test_the_documentation_of_the_api_is_shown_unless_somebody_says_otherwise() -> None:
    assert all(service["environment"]["SLUICE_DOCS"] == "${SLUICE_DOCS:-true}" for service in OURS.values())


def test_a_stop_leaves_work_its_time() -> None:
    given = int(OURS["consumer"]["stop_grace_period"].removesuffix("s"))
    assert given > Settings.model_fields["stop_s"].default


def test_every_file_that_a_server_gets_is_there_for_everybody_to_read() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    ours = [(ROOT / mount[0], mount[2:]) for mount in mounts if mount[0].startswith("./")]
    assert len(ours) == 13
    assert all(how == ["ro"] for _, how in ours)
    files = [file for path, _ in ours for file in (path.rglob("*.*") if path.is_dir() else [path])]
    assert len(files) > len(ours)
    assert all(file.is_file() and file.stat().st_mode & 0o004 for file in files)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with nothing but the script that makes secrets."""
    (tmp_path / "infra/docker").mkdir(parents=True)
    shutil.copy(ROOT / "infra/docker/passwords.sh", tmp_path / "infra/docker")
    return tmp_path


def make_passwords(tree: Path) -> dict[str, str]:
    """Run the script; what `.env` then says, later lines winning."""
    subprocess.run([tree / "infra/docker/passwords.sh"], check=True, stdout=subprocess.DEVNULL)
    lines = (tree / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line)


def test_secrets_are_made_once_for_their_owner_alone(tree: Path) -> None:
    made = make_passwords(tree)
    assert set(made) == SECRETS
    assert len({secret for secret in made.values() if re.fullmatch("[0-9a-f]{48}", secret)}) == len(SECRETS)
    assert (tree / ".env").stat().st_mode & 0o077 == 0
    assert make_passwords(tree) == made


def test_a_secret_is_found_in_whatever_form_a_person_wrote_it(tree: Path) -> None:
    (tree / ".env").write_bytes(
        b"\xef\xbb\xbfPOSTGRES_PASSWORD=a\r\nexport REDIS_PASSWORD = 'b'\r\n  RABBITMQ_PASSWORD: c\r\nSLUICE_KEY_PEPPER=\r\n"
    )
    subprocess.run([tree / "infra/docker/passwords.sh"], check=True, stdout=subprocess.DEVNULL)
    written = read_dot_env(tree / ".env", {})
    assert (written["POSTGRES_PASSWORD"], written["REDIS_PASSWORD"], written["RABBITMQ_PASSWORD"]) == (
        "a",
        "b",
        "c",
    )
    assert re.fullmatch("[0-9a-f]{48}", written["SLUICE_KEY_PEPPER"])


def test_a_secret_that_is_empty_in_quotes_is_made(tree: Path) -> None:
    (tree / ".env").write_text(
        'POSTGRES_PASSWORD=""\nREDIS_PASSWORD=\'\'\nRABBITMQ_PASSWORD="c"\nSLUICE_KEY_PEPPER="d"\n'
    )
    subprocess.run([tree / "infra/docker/passwords.sh"], check=True, stdout=subprocess.DEVNULL)
    written = read_dot_env(tree / ".env", {})
    assert [len(written[name]) for name in sorted(SECRETS)] == [48, 1, 48, 1]


def test_what_a_person_wrote_stays(tree: Path) -> None:
    (tree / ".env").write_text(
        "SLUICE_API_PORT=9000\nREDIS_PASSWORD=mine\nSLUICE_KEY_PEPPER=\nSLUICE_DOCS=false"
    )
    made = make_passwords(tree)
    assert set(made) == SECRETS | {"SLUICE_API_PORT", "SLUICE_DOCS"}
    assert (made["REDIS_PASSWORD"], made["SLUICE_DOCS"]) == ("mine", "false")
    assert len(made["SLUICE_KEY_PEPPER"]) == 48
