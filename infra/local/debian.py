"""Debian roots made of packages alone: archives to import as images, and directories to run another release's programs in."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

_LONGEST_S = 900
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_SOURCES = ("apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages")

# mmdebstrap mounts /proc and /sys below what it makes. In namespaces of its own these are gone with it, however it ends:
# whoever deletes what it left deletes nothing of this machine.
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--")


@dataclass(frozen=True, slots=True)
class Root:
    """A Debian root, by suite and packages. Making one takes root and mmdebstrap; a cache keeps it for later runs."""

    suite: str
    packages: tuple[str, ...]

    def tar(self, cache: Path) -> Path:
        """Return the root as an archive. Raises CalledProcessError with all that was said."""
        return self._make_once(cache / f"{self._name}.tar")

    def directory(self, cache: Path) -> Path:
        """Return the root as a directory. Raises CalledProcessError with all that was said."""
        return self._make_once(cache / self._name)

    def is_made(self, cache: Path) -> bool:
        """Whether the directory is there already."""
        return (cache / self._name).exists()

    @property
    def _name(self) -> str:
        return f"{self.suite}-{sha256(repr(self.packages).encode()).hexdigest()[:12]}"

    def _make_once(self, place: Path) -> Path:
        """Made elsewhere and moved: what has its name is complete."""
        with _lock(place.parent):
            if not place.exists():
                with _scratch_directory(place.parent / "unfinished") as scratch:
                    self._make(scratch / place.name, scratch)
                    (scratch / place.name).replace(place)
        return place

    def _make(self, target: Path, scratch: Path) -> None:
        options = ["--variant=minbase", f"--include={','.join(self.packages)}"]
        if _CERTIFICATES.exists() and "ca-certificates" in self.packages:  # trust whom this machine trusts
            options.append(f"--customize-hook=copy-in {_CERTIFICATES} {_CERTIFICATES.parent}")
        before = _NAMESPACES if os.geteuid() == 0 else ()  # others get theirs from mmdebstrap itself
        subprocess.run(
            [*before, "mmdebstrap", *options, self.suite, str(target), *_mirror()],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST_S,
            env={**os.environ, "TMPDIR": str(scratch)},
        )


def _mirror() -> list[str]:
    """Where this machine gets Debian's packages; empty where it gets others, then mmdebstrap takes the usual place."""
    if shutil.which("apt-get") is None:
        return []
    listing = subprocess.run(_SOURCES, check=False, capture_output=True, text=True).stdout
    return debian_mirrors(listing)[:1]


def debian_mirrors(listing: str) -> list[str]:
    """Pick from `label|address` lines what is labelled as Debian itself; its security updates have another label."""
    pairs = (line.partition("|") for line in listing.splitlines())
    return [address.rstrip("/") for label, _, address in pairs if label == "Debian"]


@contextmanager
def _lock(cache: Path) -> Iterator[None]:
    """Keep a second maker waiting until the first is done."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch_directory(directory: Path) -> Iterator[Path]:
    """A directory to make things in: empty at first, whatever a killed maker left, and gone afterwards."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
