"""Read what the control groups of this process say, in both of their versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def read_numbers(
    controller: str, old: str, new: str, proc: Path = PROC, groups: Path = GROUPS
) -> Iterator[tuple[Path, int]]:
    """Yield the numbers in the files `new` (version 2) or `old` (version 1) of this process's groups, from the innermost outwards.

    In a container the files are those of its own group. Words, such as `max`, are left out.
    """
    for line in read_or_empty(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controller in controllers.split(","):
            root, name = groups / controller, old
        elif not controllers:
            root, name = groups, new
        else:
            continue
        path = Path(group.lstrip("/"))
        for each in (path, *path.parents):
            if (text := read_or_empty(root / each / name)).isdigit():
                yield root / each / name, int(text)


def read_or_empty(file: Path) -> str:
    """Read a file of the kernel; empty where there is none."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""
