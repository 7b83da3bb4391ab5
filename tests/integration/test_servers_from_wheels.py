"""`make run` where no server program is installed and nobody is root: from a clone to a first result."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.run_as import temporary_directory

pytestmark = pytest.mark.timeout(400)

ROOT = Path(__file__).parents[2]
NOBODY = pwd.getpwnam("nobody")
# In a mount namespace of its own, what servers are installed is hidden: from this process and what it starts, nobody else.
BARE_MACHINE = """\
for directory in /usr/lib/postgresql /usr/lib/rabbitmq; do
    if [ -d "$directory" ]; then mount -t tmpfs tmpfs "$directory"; fi
done
for program in redis-server valkey-server; do
    if found=$(command -v "$program"); then mount --bind /dev/null "$found"; fi
done
exec setpriv --reuid "$0" --regid "$1" --clear-groups -- "${@:2}"
"""


class Clone:
    """This tree as `git clone` gives it, in the hands of an ordinary user."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._copy_what_git_would()

    def make(self, *words: str) -> str:
        """Run make as that user on a machine without servers, and return what it printed; it has to succeed."""
        command = ["make", "-C", f"{self.place}/clone", *words]
        done = subprocess.run(
            self._as_a_user_of_a_bare_machine(command),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def _environment(self) -> dict[str, str]:
        kept = ("PIP_", "UV_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy", "PATH")
        passed = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        return passed | {
            "HOME": str(self.place),
            "LANG": "C.UTF-8",
            "UV_CACHE_DIR": str(self.place / "cache"),
        }

    def _as_a_user_of_a_bare_machine(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return [*command, "SERVERS=wheels"]
        who = (str(NOBODY.pw_uid), str(NOBODY.pw_gid))
        namespace = ("unshare", "--mount", "--propagation", "private", "--")
        return [*namespace, "bash", "-ec", BARE_MACHINE, *who, *command]

    def _copy_what_git_would(self) -> None:
        """With changes that are not committed yet."""
        listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.place / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.place / "clone" / name)
        if os.geteuid() == 0:
            for path in (self.place, *self.place.rglob("*")):
                os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


@pytest.fixture
def clone() -> Iterator[Clone]:
    """Make a clone, and stop what was started there."""
    place = temporary_directory("sluice-clone-")
    made = Clone(place)
    yield made
    made.make("down")
    shutil.rmtree(place)


def test_an_ordinary_user_of_a_bare_machine_gets_a_first_result(clone: Clone) -> None:
    said = clone.make("run")
    assert "PostgreSQL and Valkey from Python packages" in said
    assert "WITHOUT RABBITMQ (rabbitmq-server: not installed." in said
    assert "demo.sum" in said
    again = clone.make("run")
    assert "the one of last time" in again
    assert "Python packages, into" not in again
