"""The images that ours and the servers come from: pulled where that is possible, else made of Debian's packages under the same names.

What is made of packages stands in for the official images in one trial, on an engine that is thrown away afterwards.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from infra.docker.trial.engine import Docker
from infra.local import programs

STANDINS = Path(__file__).parents[1] / "standins"
PYTHON = "python:3.11-slim-bookworm"
SERVERS = {"postgres:17": "postgres", "rabbitmq:4-management": "rabbitmq", "redis:8": "redis"}
"""Images of servers, each with the stage of standins/Dockerfile that stands in for it."""

_PULL_S = 600
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Root:
    """A Debian root, by suite and packages."""

    image: str
    suite: str
    packages: tuple[str, ...]

    def tar(self, cache: Path) -> Path:
        """The root as an archive, made by the first who asks."""
        file = cache / f"{self.suite}-{sha256(repr(self.packages).encode()).hexdigest()[:12]}.tar"
        if not file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            draft = file.with_suffix(".new.tar")
            self._make(draft)
            draft.replace(file)
        return file

    def _make(self, file: Path) -> None:
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(self.packages)}"]
        if _CERTIFICATES.exists() and "ca-certificates" in self.packages:  # trust whom this machine trusts
            command.append(f"--customize-hook=copy-in {_CERTIFICATES} {_CERTIFICATES.parent}")
        subprocess.run([*command, self.suite, str(file)], check=True, stdin=subprocess.DEVNULL, timeout=900)


_ROOTS = {
    PYTHON: Root(PYTHON, "bookworm", ("python3", "python3-venv", "ca-certificates")),
    **dict.fromkeys(
        SERVERS,
        Root(
            "sluice-standin:servers",
            "trixie",
            ("rabbitmq-server", "postgresql-17", "redis-server"),
        ),
    ),
}


def provide(docker: Docker, cache: Path) -> list[str]:
    """See to it that every image is there; the names of those that were made here."""
    absent = [
        image for image in (PYTHON, *SERVERS) if not docker.says_yes("docker", "image", "inspect", image)
    ]
    if all(docker.says_yes("docker", "pull", "--quiet", image, timeout_s=_PULL_S) for image in absent):
        return []
    programs.ensure(["mmdebstrap"])
    for root in {_ROOTS[image] for image in absent}:
        docker.run("docker", "import", str(root.tar(cache)), root.image)
    _make_servers(docker, [image for image in absent if image in SERVERS])
    return absent


def _make_servers(docker: Docker, images: Iterable[str]) -> None:
    for image in images:
        docker.run(
            "docker", "build", "--network=host", f"--target={SERVERS[image]}", f"--tag={image}", str(STANDINS)
        )  # fmt: skip


def build(docker: Docker, root: Path, version: str, *, network: str = "default") -> None:
    """Build our image as docker-compose.yml calls it."""
    file = root / "infra" / "docker" / "Dockerfile"
    options = [
        f"--network={network}",
        f"--file={file}",
        f"--build-arg=VERSION={version}",
        "--tag=sluice:local",
    ]
    docker.run("docker", "build", *options, str(root))
