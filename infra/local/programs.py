"""Where the server programs are on this machine, and the one line that installs what is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.local import wheels

_SERVERS = ("postgres", "redis-server", "rabbitmq-server")
FOR_TESTS = (*_SERVERS, "faketime", "vipsthumbnail", "promtool", "amtool")
"""What `make test` and the fault runs need; running the product takes the servers alone."""
_PACKAGES = {
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "rabbitmq-server": "rabbitmq-server",
    "faketime": "faketime",  # only the tests: a process whose clock is off
    "vipsthumbnail": "libvips-tools",  # only the tests: what thumbnails should look like, which are skipped without it
    "pgbouncer": "pgbouncer",  # only tests/fault/test_pooler.py, which is skipped without it
    "h2load": "nghttp2-client",  # only `make bench` wants it
    "dockerd": "docker.io",  # this and what follows: only `make test-containers`, where no engine runs
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",  # and `make test-rabbitmq4`
    "promtool": "prometheus",  # this and what follows: only tests and `make check-infra`, which skip what needs them
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "npm": "npm",
    "prometheus-alertmanager": "prometheus-alertmanager",
}

# The rabbitmq-server on the PATH of Debian is a wrapper that changes user and cookie; the real one comes first here.
_USUAL_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/lib/rabbitmq/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "opt/homebrew/sbin",
    "opt/homebrew/bin",
    "usr/lib/erlang/bin",
)


class ProgramMissing(RuntimeError):
    """A server program is not installed on this machine."""


def find(program: str) -> Path:
    """Return the program that comes first; raises ProgramMissing."""
    for file in found(program):
        return file
    raise ProgramMissing(f"{program} is not installed")


def found(program: str) -> Iterator[Path]:
    """Return every program of that name: of this machine, newest first, then of the wheels; with `SERVERS=wheels` no others."""
    if not (wheels_alone() and program in _SERVERS):
        yield from _of_this_machine(program)
    yield from wheels.find(program)


def wheels_alone() -> bool:
    """Say whether the environment asks for servers from wheels, whatever is installed here."""
    return os.environ.get("SERVERS") == "wheels"


def missing(wanted: Iterable[str] = _SERVERS) -> list[str]:
    """Return which of the wanted server programs (by default all three) this machine lacks."""
    return [program for program in wanted if not _is_installed(program)]


def apt_line(programs: list[str] | None = None) -> str:
    """Return the line that installs the given programs (or the missing ones) on Debian and Ubuntu."""
    packages = " ".join(_PACKAGES[program] for program in (missing() if programs is None else programs))
    return f"apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {packages}"


def can_install() -> bool:
    """Say whether apt_line() would work here: root on a machine with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def ensure(wanted: Iterable[str] = _SERVERS) -> None:
    """Install those of the wanted programs that are missing: with apt, printing the line before it runs, else from wheels.

    Raises ProgramMissing with the remedies where that is not possible, CalledProcessError when apt fails.
    """
    lacking = missing(wanted)
    if not lacking:
        return
    line = apt_line(lacking)
    if can_install() and not wheels_alone():
        print(f"+ {line}", flush=True)
        subprocess.run(["/bin/sh", "-c", line], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        return
    why = _install_wheels() if any(map(wheels.carry, lacking)) else ""
    lacking = missing(lacking)
    if lacking:
        remedies = f"Run `{apt_line(lacking)}` as root, or `docker compose up`."
        raise ProgramMissing(f"{', '.join(lacking)}: not installed. {remedies}{why}")


def _install_wheels() -> str:
    """Return why that failed, if it did."""
    try:
        wheels.install()
    except wheels.NotInstalled as error:
        return f" Python packages have no program for this machine either:\n{error}"
    return ""


def _of_this_machine(program: str) -> Iterator[Path]:
    for pattern in _USUAL_PLACES:
        directories = sorted(Path("/").glob(pattern), key=_version, reverse=True)
        yield from (file for each in directories if os.access(file := each / program, os.X_OK))
    if on_path := shutil.which(program):
        yield Path(on_path)


def _is_installed(program: str) -> bool:
    try:
        find(program)
    except ProgramMissing:
        return False
    return True


def _version(directory: Path) -> list[int]:
    digits = "".join(c if c.isdigit() else " " for c in str(directory))
    return [int(part) for part in digits.split()]
