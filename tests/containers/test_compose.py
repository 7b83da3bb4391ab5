"""docker-compose.yml does what it says: on real containers, with the API alone to look at them from outside."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx2
import pytest

from infra.local.sample_jobs import samples
from infra.local.sample_run import kinds, run_samples
from sluice import __version__
from tests.containers.composed import SECRETS, SERVERS, Client, Composed, until

PROCESSES = ("api", "consumer")
KIND = """
from core.rules import LOUD
from pydantic import BaseModel
from sluice import handler

class Text(BaseModel):
    text: str

@handler("own.shout")
def shout(given: Text) -> Text:
    return Text(text=given.text + LOUD)
"""
CLAIMED_AGAIN_S = 40
"""Lease and two ticks with the default settings, the start of a consumer, and the job's own time."""


def write(project: Path, files: dict[str, str]) -> None:
    """Write files that everybody may read, as the user of the container has to."""
    for name, text in files.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    for path in [project, *project.rglob("*")]:
        path.chmod(0o755)


def inside_a_new_container(composed: Composed, project: Path, *command: str) -> str:
    """What a command says in a container of the image with this project in `/app`."""
    options = (
        "--rm",
        "--no-deps",
        "--no-TTY",
        f"--volume={project}:/app:ro",
        "--env=SLUICE_HANDLERS=jobs.shout",
    )
    return composed("run", *options, "consumer", *command)


def test_one_job_of_every_shipped_kind_succeeds(composed: Composed, client: Client, tmp_path: Path) -> None:
    key = client.http.headers["Authorization"].removeprefix("Bearer ")
    offered = asyncio.run(kinds(composed.url, key))
    chosen = [sample for sample in samples(tmp_path, int(time.time())) if sample.kind in (offered or [])]
    runs = asyncio.run(run_samples(composed.url, key, chosen, lambda run: None))
    assert {run.sample.kind for run in runs} == set(offered or [])
    assert {run.sample.kind: run.document for run in runs if not run.succeeded} == {}


@pytest.mark.parametrize("service", PROCESSES)
def test_a_process_is_nobody_and_can_write_nowhere_but_in_tmp(composed: Composed, service: str) -> None:
    status = dict(
        line.split(":\t", 1) for line in composed.inside(service, "cat", "/proc/1/status").splitlines() if ":\t" in line
    )  # fmt: skip
    assert status["Uid"].split() == ["10001"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    tried = composed.inside(service, "sh", "-c", "touch /tmp/here && echo made; touch /app/here 2>&1 || true")
    assert "made" in tried
    assert "Read-only file system" in tried


def test_every_container_is_bounded_and_without_capabilities(composed: Composed) -> None:
    for service, container in composed.containers().items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"], service
        assert host["Memory"] > 0, service
        assert host["PidsLimit"] > 0, service
        assert container["Config"]["User"] not in ("", "root", "0"), service


def test_only_the_api_can_be_reached_and_only_from_this_machine(composed: Composed) -> None:
    published = {
        service: [
            place for places in container["NetworkSettings"]["Ports"].values() for place in places or []
        ]
        for service, container in composed.containers().items()
    }
    assert published.pop("api") == [{"HostIp": "127.0.0.1", "HostPort": str(composed.port)}]
    assert [service for service, places in published.items() if places] == []


def test_the_image_says_which_version_it_holds(composed: Composed) -> None:
    labels = composed.containers()["api"]["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert composed.inside("api", "sluice", "--version") == f"sluice {__version__}\n"


def test_no_process_compiles_what_it_imports(composed: Composed) -> None:
    code = """
import sys, importlib.util
from pathlib import Path
import api.__main__, consumer.__main__, asyncio, ssl, uvicorn
files = [module.__file__ for module in sys.modules.values() if (getattr(module, '__file__', None) or '').endswith('.py')]
print([file for file in files if not Path(importlib.util.cache_from_source(file)).exists()])
"""
    assert composed.inside("api", "python", "-c", code) == "[]\n"


def test_kinds_of_ones_own_lie_in_the_working_directory(composed: Composed, tmp_path: Path) -> None:
    write(tmp_path, {"core/__init__.py": "", "core/rules.py": "LOUD = '!'", "jobs/shout.py": KIND})
    said = inside_a_new_container(
        composed, tmp_path, "python", "-c", "import core, jobs.shout as s; print(s.shout.kind)"
    )
    assert said.strip() == "own.shout"
    write(tmp_path, {"api/__init__.py": ""})
    ours = "/opt/sluice/lib/python3.11/site-packages/api/__init__.py"
    with pytest.raises(AssertionError, match=f"sluice: /app/api/__init__.py hides {ours}"):
        inside_a_new_container(composed, tmp_path, "sluice", "consumer")


def test_no_secret_stands_in_the_arguments_of_a_process(composed: Composed) -> None:
    said = "".join(
        composed.inside(service, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        for service in (*PROCESSES, *SERVERS)
    )  # fmt: skip
    assert "redis-server" in said
    assert [name for name in SECRETS if composed.secret(name) in said] == []


def test_a_consumer_that_dies_is_started_again_and_its_job_runs_again(
    composed: Composed, client: Client
) -> None:
    job_id = client.submit("demo.sleep", {"seconds": 4})
    until(lambda: client.job(job_id), lambda job: job["state"] == "running")
    composed.inside("consumer", "sh", "-c", "kill -9 -1")
    until(lambda: composed.containers()["consumer"], lambda consumer: consumer["RestartCount"] == 1)
    job = client.finished(job_id, CLAIMED_AGAIN_S)
    assert job["state"] == "succeeded"
    assert composed.asked(f"select outcome from attempts where job_id = '{job_id}'") == "lease-lost"  # noqa: S608  an id that the api made


@pytest.mark.parametrize("server", ["rabbitmq", "redis"])
def test_a_job_is_accepted_without(composed: Composed, client: Client, server: str) -> None:
    composed("kill", server)
    job_id = client.submit("demo.sum", {"values": [1, 2, 3]})
    composed.up()
    assert client.finished(job_id)["result"] == {"total": 6}


def test_what_was_accepted_is_there_after_all_servers_were_killed(composed: Composed, client: Client) -> None:
    done, waiting = client.submit("demo.sum", {"values": [4, 5]}), client.submit("demo.sleep", {"seconds": 3})
    before = client.finished(done)
    composed("kill", *SERVERS)
    assert (
        client.http.post("/v1/jobs", json={"kind": "demo.sum", "input": {"values": [1]}}).status_code == 503
    )
    composed.up()
    assert client.finished(waiting, CLAIMED_AGAIN_S)["state"] == "succeeded"
    assert client.job(done) == before


def test_a_stop_is_orderly_and_keeps_the_record(composed: Composed, client: Client) -> None:
    job_id = client.submit("demo.sum", {"values": [7]})
    before = client.finished(job_id)
    composed("stop")
    ended = {service: container["State"]["ExitCode"] for service, container in composed.containers().items()}
    assert ended == dict.fromkeys(ended, 0)
    with pytest.raises(httpx2.ConnectError):
        client.job(job_id)
    composed("down")
    composed.up()
    assert client.job(job_id) == before


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(AssertionError, match=f"{name} is missing a value"):
        Composed()("config", "--quiet", without=name)
