"""Rules of the workflows that no linter has: pins, rights, limits, and that what they name is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github/workflows"
FILES = {path.name: path for path in sorted(FOLDER.glob("*.yml"))}
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
PARTS = {name: yaml.safe_load(path.read_text()) for name, path in FILES.items()}
JOBS = [(name, job, body) for name, part in PARTS.items() for job, body in part["jobs"].items()]
ALL_TEXT = {path.relative_to(ROOT): path.read_text() for path in [*FILES.values(), *ACTIONS]}

WANTED = {"build", "ci", "cluster", "compatibility", "containers", "promote", "release", "security", "update"}
OF_SERVERS = r"(?:postgres|redis|valkey/valkey|rabbitmq|kindest/node|python)"
DIGEST = r"sha256:[0-9a-f]{64}"
WRITES = {  # all that any job may do besides reading
    "build.yml": {"packages", "id-token", "attestations"},
    "release.yml": {"packages", "id-token", "attestations", "contents", "pull-requests"},
    "promote.yml": {"contents", "pull-requests"},
    "update.yml": {"contents", "pull-requests"},
    "security.yml": {"security-events", "id-token"},
}

every_file = pytest.mark.parametrize("name", FILES)
every_job = pytest.mark.parametrize(
    ("name", "job", "body"), JOBS, ids=[f"{name}-{job}" for name, job, _ in JOBS]
)


def steps(body: dict[str, Any]) -> list[dict[str, Any]]:
    """What a job does; none where it calls a workflow."""
    return list(body.get("steps", []))


def commands() -> Iterator[tuple[Path, str]]:
    """Every script of every workflow and action, with the file it stands in."""
    for path in ALL_TEXT:
        part = yaml.safe_load(ALL_TEXT[path])
        bodies = part["jobs"].values() if "jobs" in part else [part["runs"]]
        yield from ((path, step["run"]) for body in bodies for step in steps(body) if "run" in step)


def make_words(script: str) -> set[str]:
    """The words that a script gives to make."""
    return {
        word
        for line in re.findall(r"\bmake ([^\n]+)", script)
        for word in re.findall(r"(?:^|\s)([a-z][\w-]*)(?=\s|$)", line.split(" ARGS=")[0])
    }


def test_all_that_delivery_needs_is_there() -> None:
    assert {name.removesuffix(".yml") for name in FILES} == WANTED


@pytest.mark.parametrize("path", ALL_TEXT, ids=str)
def test_every_action_is_named_by_its_commit_and_says_which_version_that_is(path: Path) -> None:
    used = re.findall(r"uses: (.+)", ALL_TEXT[path])
    foreign = [use for use in used if not use.startswith("$/")]
    loose = [
        use for use in foreign if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)
    ]
    assert loose == []
    assert [use for use in used if use.startswith("$/") and not exists(use.removeprefix("$/"))] == []


def exists(place: str) -> bool:
    """Whether an action or a workflow of ours is there."""
    return (ROOT / place).is_file() or (ROOT / place / "action.yml").is_file()


def test_one_action_has_one_version() -> None:
    versions: dict[str, set[str]] = {}
    for text in ALL_TEXT.values():
        for action, version in re.findall(r"uses: ([\w.-]+/[\w.-]+)\S*@(.+)", text):
            versions.setdefault(action, set()).add(version)
    assert {action: found for action, found in versions.items() if len(found) > 1} == {}


def test_every_image_is_named_by_its_digest() -> None:
    text = "\n".join([*ALL_TEXT.values(), (ROOT / "infra/docker/Dockerfile").read_text()])
    images = re.findall(rf"(?<![\w/.-])((?:docker\.io/)?{OF_SERVERS}:(?!\d{{4}}\b|//)[^\s\"']+)", text)
    manifests = [path.read_text() for path in sorted((ROOT / "infra/kubernetes").rglob("*.yaml"))]
    images += re.findall(r"^\s*-? ?image(?:Name)?: *[\"']?([^\s\"'{]+)", "\n".join(manifests), re.MULTILINE)
    assert len(images) > 10
    loose = [image for image in images if not re.fullmatch(rf"[\w/.-]+:[\w.-]+@{DIGEST}", image)]
    assert loose == ["python:3.11-slim-bookworm"], (
        "the stand-in that the Dockerfile's comment tells of, and no other"
    )


def test_an_image_for_a_try_out_says_at_least_its_release() -> None:
    """Whoever pulls docker-compose.yml anew wants what was mended since: tags of a major version, which are never `latest`."""
    text = (ROOT / "docker-compose.yml").read_text()
    images = [
        image for image in re.findall(r"^ *image: (\S+)", text, re.MULTILINE) if image != "sluice:local"
    ]
    assert images
    assert [
        image for image in images if not re.fullmatch(r"[\w/.-]+:v?\d[\w.-]*(?:@sha256:[0-9a-f]{64})?", image)
    ] == []


def test_every_chart_that_is_installed_has_its_version() -> None:
    installs = [
        line
        for _, script in commands()
        for line in script.replace("\\\n", " ").splitlines()
        if re.search(r"helm (?:install|upgrade|pull)", line)
    ]
    assert installs
    foreign = [line for line in installs if "infra/helm/sluice" not in line]
    assert [line for line in foreign if not re.search(r"--version \d+\.\d+\.\d+", line)] == []


@every_file
def test_nothing_is_allowed_that_a_job_does_not_ask_for(name: str) -> None:
    assert PARTS[name]["permissions"] == {}


@every_job
def test_a_job_asks_for_no_more_than_its_file_may_have(name: str, job: str, body: dict[str, Any]) -> None:
    assert isinstance(body["permissions"], dict), "a list of rights, never `write-all`"
    writes = {right for right, level in body["permissions"].items() if level == "write"}
    assert writes <= WRITES.get(name, set())
    assert set(body["permissions"].values()) <= {"read", "write"}


def test_who_may_write_runs_nothing_that_a_pull_request_brought() -> None:
    for name in ("build.yml", "release.yml", "promote.yml", "update.yml"):
        assert set(triggers(name)) <= {"push", "workflow_call", "workflow_dispatch", "schedule"}
    assert all(
        "pull_request_target" not in triggers(name) and "workflow_run" not in triggers(name) for name in FILES
    )
    assert triggers("release.yml") == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+*"]}}


def triggers(name: str) -> dict[str, Any]:
    """What starts a workflow; YAML reads the word `on` as true."""
    return dict(PARTS[name][True])


@every_job
def test_a_job_ends_and_runs_on_a_system_that_is_named(name: str, job: str, body: dict[str, Any]) -> None:
    if "uses" in body:
        return
    assert 0 < body["timeout-minutes"] <= 120
    assert body["runs-on"] == "ubuntu-24.04"


@every_file
def test_a_newer_run_replaces_an_older_one_or_waits_for_it(name: str) -> None:
    if set(triggers(name)) == {"workflow_call"}:
        assert "concurrency" not in PARTS[name], (
            "its caller has one, and two of one name would wait for each other"
        )
        return
    assert {"group", "cancel-in-progress"} == set(PARTS[name]["concurrency"])


@pytest.mark.parametrize("name", ["release.yml", "promote.yml"])
def test_what_publishes_is_never_broken_off(name: str) -> None:
    assert PARTS[name]["concurrency"]["cancel-in-progress"] is False


@every_job
def test_no_token_stays_in_the_clone(name: str, job: str, body: dict[str, Any]) -> None:
    clones = [step for step in steps(body) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in clones)


@every_file
def test_a_script_fails_where_the_first_part_of_a_pipe_does(name: str) -> None:
    assert PARTS[name]["defaults"] == {"run": {"shell": "bash"}}, "GitHub runs others without pipefail"


def test_nothing_that_others_write_becomes_part_of_a_script() -> None:
    assert [(str(path), script) for path, script in commands() if "${{" in script] == []


def test_secrets_are_not_used_as_nothing_here_has_a_password() -> None:
    assert [str(path) for path, text in ALL_TEXT.items() if "secrets." in text or "secrets:" in text] == []


def test_every_word_that_is_given_to_make_is_in_the_makefile() -> None:
    known = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set().union(*(make_words(script) for _, script in commands()))
    assert {
        "check",
        "check-infra",
        "release-check",
        "test-all",
        "test-containers",
        "upgrade",
        "compatibility",
        "clients",
        "lock",
    } <= used
    assert used <= known


def test_a_change_is_tested_by_our_own_words_alone() -> None:
    for body in PARTS["ci.yml"]["jobs"].values():
        scripts = [step["run"] for step in steps(body) if "run" in step]
        assert all(
            re.fullmatch(r'(?:env -u CI )?make [^\n;&|]+|test "\$FAILED" = false', each) for each in scripts
        )


def test_every_path_of_ours_that_is_named_is_there() -> None:
    path = re.compile(r"(?<![\w./$-])((?:infra|tests|docs|api|consumer|sluice|\.github)/[\w./*-]+)")
    for file, text in ALL_TEXT.items():
        code = re.sub(r"sluice-jobs/\S+", "", text)
        lost = [
            name for name in path.findall(code) if not list(ROOT.glob(name.rstrip("./").replace("**", "*")))
        ]
        assert lost == [], file


def test_every_version_that_is_promised_has_its_row() -> None:
    rows = PARTS["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in rows} == {"3.11", "3.12", "3.13", "3.14"}
    assert {row["postgres"] for row in rows} == {"15", "16", "17", "18"}
    assert {row["rabbitmq"] for row in rows} == {"3.13", "4.2"}
    assert {re.split("[:-]", row["redis_image"].split("/")[-1])[0] for row in rows} == {"redis", "valkey"}
    assert {re.split("[:@.-]", row["redis_image"])[1] for row in rows} == {"7", "8", "9"}
    for row in rows:
        assert f":{row['rabbitmq']}-" in row["rabbitmq_image"]


def test_one_result_stands_for_all_of_a_change() -> None:
    jobs = PARTS["ci.yml"]["jobs"]
    assert set(jobs["all"]["needs"]) == set(jobs) - {"all"}
    assert jobs["all"]["if"] == "always()"


def test_nothing_is_published_before_it_was_verified() -> None:
    jobs = PARTS["release.yml"]["jobs"]
    assert "verify" in jobs["pypi"]["needs"]
    assert {"verify", "pypi"} <= set(jobs["publish"]["needs"])
    assert "write" not in jobs["verify"]["permissions"].values()
    assert jobs["build"]["uses"] == "$/.github/workflows/build.yml"
    assert jobs["pypi"]["permissions"] == {"id-token": "write"}, "trusted publishing, and nothing else"


def test_a_release_is_signed_attested_listed_and_scanned_by_digest() -> None:
    text = FILES["build.yml"].read_text()
    image = PARTS["build.yml"]["jobs"]["image"]
    used = [step.get("uses", "").split("@")[0] for step in steps(image)]
    assert used.count("actions/attest") == 2, "where it came from, and what is in it"
    assert "push-by-digest=true" in text
    assert "linux/amd64,linux/arm64" in text
    (scan,) = [step for step in steps(image) if "trivy" in step.get("uses", "")]
    assert (scan["with"]["exit-code"], scan["with"]["severity"]) == ("1", "HIGH,CRITICAL")
    assert re.findall(r"cosign sign .*", text) == [
        'cosign sign --yes --recursive "$IMAGE@$DIGEST"',
        'cosign sign --yes "$CHARTS/sluice@$DIGEST"',
    ]


def test_a_stage_gets_what_the_one_before_it_runs() -> None:
    script = next(script for path, script in commands() if path.name == "promote.yml" and "cp " in script)
    assert "staging) from=dev" in script
    assert "prod) from=staging" in script
    assert PARTS["promote.yml"][True]["workflow_dispatch"]["inputs"]["to"]["options"] == ["staging", "prod"]
