"""How much memory this process and its hosts may use together: the limit of their container, or of their unit of systemd."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 of control groups has a huge number where nothing limits."""


def read_memory_limit(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the least limit, in bytes, of the control groups that this process is in; infinity where none has one.

    In a container the files are those of its own group.
    """
    limits = [int(text) for file in _limit_files(proc, groups) if (text := _read(file)).isdigit()]
    return min((limit for limit in limits if limit < _UNLIMITED), default=inf)


def _limit_files(proc: Path, groups: Path) -> Iterator[Path]:
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        path = Path(group.lstrip("/"))
        if "memory" in controllers.split(","):
            yield from (groups / "memory" / each / "memory.limit_in_bytes" for each in (path, *path.parents))
        elif not controllers:
            yield from (groups / each / "memory.max" for each in (path, *path.parents))


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
