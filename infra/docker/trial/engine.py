"""A Docker engine of our own, for machines where none runs: its files, its socket and its processes are nobody else's.

It has a process and a mount namespace to itself, so that nothing of it is left when its first process ends.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.daemon import Daemon
from infra.local.process import none_alive, send, wait_until

_LONGEST_S = 900
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_ALONE = ("--net", "--", "sh", "-c", 'ip link set lo up && exec "$0" "$@"')
_ON_THE_NETWORK = ("--bridge=none", "--iptables=false", "--ip-forward=false")


@dataclass(frozen=True, slots=True)
class Docker:
    """How to speak to one engine: variables for the client, and what comes before every command."""

    env: Mapping[str, str]
    prefix: tuple[str, ...] = ()

    def run(self, *command: str, timeout_s: float = _LONGEST_S, **options: Any) -> str:
        """Run a command that may speak to the engine; its output. Raises CalledProcessError with what it said."""
        done = subprocess.run(
            [*self.prefix, *command],
            env={**os.environ, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            text=True,
            timeout=timeout_s,
            check=True,
            **options,
        )
        return str(done.stdout)

    def says_yes(self, *command: str, timeout_s: float = 30) -> bool:
        """Whether a command succeeds in time."""
        try:
            self.run(*command, timeout_s=timeout_s)
        except (subprocess.SubprocessError, OSError):
            return False
        return True


class Engine(Daemon):
    """One dockerd with its containerd.

    `alone`: in a network namespace of its own, where containers have networks and ports but reach nothing outside;
    otherwise on the machine's network, where builds can fetch packages and nothing is changed.
    """

    name = "Docker engine"
    start_timeout_s = 60

    def __init__(self, directory: Path, compose: Path, *, alone: bool) -> None:
        super().__init__()
        self._directory, self._compose, self._alone = directory, compose, alone

    @property
    def docker(self) -> Docker:
        """How to speak to it, with Compose as a plug-in of the client."""
        env = {
            "DOCKER_HOST": f"unix://{self._directory / 'sock'}",
            "DOCKER_CONFIG": str(self._directory / "client"),
            "DOCKER_BUILDKIT": "1",
            "PATH": f"{self._directory / 'bin'}:{os.environ['PATH']}",
        }
        return Docker(env, ("nsenter", f"--net=/proc/{self.pids[0]}/ns/net", "--") if self._alone else ())

    def stop(self) -> None:
        """Let dockerd end its containers; the process that holds its namespaces hears no signal."""
        daemon = self.pids[1:2]
        send(self.stop_signal, daemon)
        wait_until(lambda: none_alive(daemon), self.stop_timeout_s)
        self.kill()

    @property
    def log(self) -> Path:
        """The file that gets everything it prints."""
        return self._directory / "log"

    def _launch(self) -> None:
        self._lay_out_client()
        options = [] if self._alone else _ON_THE_NETWORK
        before = (*_NAMESPACES, *_ALONE) if self._alone else (*_NAMESPACES, "--")
        places = {"data-root": "data", "exec-root": "run", "pidfile": "dockerd.pid"}
        files = [f"--{option}={self._directory / name}" for option, name in places.items()]
        socket = f"--host=unix://{self._directory / 'sock'}"
        (self._directory / "dockerd.pid").unlink(missing_ok=True)
        self._spawn([*before, "dockerd", *files, socket, "--group=root", *options])

    def _lay_out_client(self) -> None:
        """A client as old as the engine, where the machine has several, and Compose beside it."""
        plugins = self._directory / "client" / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        (self._directory / "bin").mkdir(exist_ok=True)
        _link(plugins / "docker-compose", self._compose)
        beside = Path(shutil.which("dockerd") or "/usr/sbin/dockerd").parents[1] / "bin" / "docker"
        _link(
            self._directory / "bin" / "docker",
            beside if beside.exists() else Path(shutil.which("docker") or beside),
        )

    def _answers(self) -> bool:
        return self.docker.says_yes("docker", "info")

    def _pid_files(self) -> list[Path]:
        return [self._directory / "pid"]

    @property
    def _cwd(self) -> Path:
        return self._directory


def _link(place: Path, target: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target)
