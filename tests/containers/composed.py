"""docker-compose.yml, brought up as a user would, with secrets and a port of the trial's own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from infra.local.ports import free_port

ROOT = Path(__file__).parents[2]
SERVERS = ("postgres", "rabbitmq", "redis")
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "SLUICE_KEY_PEPPER")
TERMINAL = {"succeeded", "failed", "cancelled"}


class Composed:
    """The project `sluice-trial` on the engine that the environment names."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = os.environ | {name: secrets.token_hex(16) for name in SECRETS}
        self._env |= {"COMPOSE_PROJECT_NAME": "sluice-trial", "SLUICE_API_PORT": str(self.port)}
        self._env |= {"SLUICE_API_HOST": "127.0.0.1"}

    def __call__(self, *arguments: str, timeout_s: float = 180, without: str = "") -> str:
        """What `docker compose` says; AssertionError with all of it where it fails."""
        env = {name: value for name, value in self._env.items() if name != without}
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self) -> None:
        """Everything healthy, from images that are there."""
        self("up", "--detach", "--no-build", "--wait", "--wait-timeout", "150")

    def inside(self, service: str, *command: str) -> str:
        """What a command says that is run in the service's container."""
        return self("exec", "--no-TTY", service, *command)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each service's container, ended ones too."""
        ids = self("ps", "--all", "--quiet").split()
        said = subprocess.run(["docker", "inspect", *ids], env=self._env, capture_output=True, check=True)
        return {
            each["Config"]["Labels"]["com.docker.compose.service"]: each for each in json.loads(said.stdout)
        }

    def asked(self, statement: str) -> str:
        """What the record answers to a statement."""
        psql = ("psql", "--username=postgres", "--dbname=sluice", "--tuples-only", "--no-align")
        return self.inside("postgres", *psql, "--command", statement).strip()

    def secret(self, name: str) -> str:
        """A secret as the services got it."""
        return self._env[name]

    def key(self) -> str:
        """A new key that may submit and read."""
        return self.inside("api", "sluice", "keys", "create", "--tenant", "trial").strip()


class Client:
    """Somebody outside, with a key."""

    def __init__(self, composed: Composed) -> None:
        headers = {"Authorization": f"Bearer {composed.key()}"}
        self.http = httpx2.Client(base_url=composed.url, headers=headers, timeout=15, trust_env=False)

    def submit(self, kind: str, given: dict[str, Any]) -> str:
        """The id of a new job."""
        answer = self.http.post("/v1/jobs", json={"kind": kind, "input": given})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The document of a job."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finished(self, job_id: str, within_s: float = 60) -> dict[str, Any]:
        """The document once the job has ended."""
        return dict(until(lambda: self.job(job_id), lambda job: job["state"] in TERMINAL, within_s))


def until(look: Callable[[], Any], good: Callable[[Any], bool], within_s: float = 60) -> Any:
    """What is seen when it is good; AssertionError with the last thing seen where that takes too long."""
    deadline = time.monotonic() + within_s
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still not so after {within_s} s: {seen}"
        time.sleep(0.1)
    return seen
