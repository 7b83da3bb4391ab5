"""The images that ours and the servers come from: pulled where that is possible, else made of Debian's packages under the same names.

What is made of packages stands in for the official images in one trial, on an engine that is thrown away afterwards.
"""

from collections.abc import Iterable
from pathlib import Path

from infra.docker.trial.engine import Docker
from infra.local import programs
from infra.local.debian import Root

STANDINS = Path(__file__).parents[1] / "standins"
PYTHON = "python:3.11-slim-bookworm"
SERVERS = {
    "postgres:17": "postgres",
    "rabbitmq:4-management": "rabbitmq",
    "redis:8": "redis",
    "prom/prometheus:v3.5.0": "prometheus",
    "prom/alertmanager:v0.28.1": "alertmanager",
}
"""Images of servers, each with the stage of standins/Dockerfile that stands in for it.

Of the profile observability these are all that Debian has: no Loki, Vector or Grafana.
"""

_PULL_S = 600
_BASE = "sluice-standin:servers"
_PACKAGES = (
    *("rabbitmq-server", "postgresql-17", "redis-server"),
    *("prometheus", "prometheus-alertmanager", "wget"),
)
_ROOTS = {
    PYTHON: Root("bookworm", ("python3", "python3-venv", "ca-certificates")),
    _BASE: Root("trixie", _PACKAGES),
}


def provide(docker: Docker, cache: Path) -> list[str]:
    """See to it that every image is there; the names of those that were made here."""
    absent = [
        image for image in (PYTHON, *SERVERS) if not docker.says_yes("docker", "image", "inspect", image)
    ]
    if all(docker.says_yes("docker", "pull", "--quiet", image, timeout_s=_PULL_S) for image in absent):
        return []
    programs.ensure(["mmdebstrap"])
    for name in {_BASE if image in SERVERS else image for image in absent}:
        docker.run("docker", "import", str(_ROOTS[name].tar(cache)), name)
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
        f"--build-arg=PYTHON_IMAGE={PYTHON}",  # a stand-in has the name, and no digest
        "--tag=sluice:local",
    ]
    docker.run("docker", "build", *options, str(root))
