"""Settings as lines of a file: what `make run` leaves for shells and tools."""

import shlex
from collections.abc import Mapping
from pathlib import Path


def read(file: Path) -> dict[str, str]:
    """Read a file that write() has written; empty when there is no such file."""
    if not file.exists():
        return {}
    words = shlex.split(file.read_text(), comments=True)
    return {name: value for name, mark, value in (word.partition("=") for word in words) if mark}


def write(file: Path, values: Mapping[str, str]) -> None:
    """Write a file that read() and a shell understand, for the owner alone: it holds secrets."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))
