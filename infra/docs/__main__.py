"""`make docs`: render docs/ as a site, below .local/docs/site. A link that leads nowhere fails it."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from infra.docs.pages import prepare

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LOCK = HERE / "requirements.txt"
TOOLS = ROOT / ".local" / "tools"


def build(root: Path, place: Path) -> int:
    """Render the pages of `root` in `place`, and return the exit status of the renderer, which says on stdout what is wrong."""
    place.mkdir(parents=True, exist_ok=True)
    prepare(root, place / "pages")
    shutil.copy(HERE / "zensical.toml", place)
    command = [str(_install() / "bin" / "zensical"), "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=place, check=False).returncode


def _install() -> Path:
    """Return the environment that the lock describes, made at first use. Raises CalledProcessError."""
    home = TOOLS / f"docs-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits for the first
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "--quiet", f"--python={sys.executable}", str(home)], check=True)
            options = ["--quiet", "--require-hashes", "--only-binary=:all:", f"--python={home}/bin/python"]
            subprocess.run([*uv, "pip", "sync", *options, str(LOCK)], check=True)
            (home / "complete").touch()
    return home


def main() -> int:
    """Build it, and say where it is; return the exit status."""
    place = ROOT / ".local" / "docs"
    status = build(ROOT, place)
    if status == 0:
        print(f"the site: {place / 'site' / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
