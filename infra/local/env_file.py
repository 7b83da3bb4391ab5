"""Settings as `NAME=value` lines: what a person wrote in `.env`, and what tools read of the running stack."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

_PREFIX = "SLUICE_"


def given(root: Path) -> dict[str, str]:
    """Return the settings a person gave, not empty: those of `.env`, overridden by the environment."""
    inherited = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    return {name: value for name, value in {**read(root / ".env"), **inherited}.items() if value}


def read(file: Path) -> dict[str, str]:
    """Read the lines of a file; empty when there is no such file."""
    if not file.exists():
        return {}
    lines = (line.strip().removeprefix("export ") for line in file.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): _unquoted(value.strip()) for name, _, value in pairs}


def write(file: Path, values: Mapping[str, str]) -> None:
    """Write a file that read() and a shell understand, for the owner alone: it holds secrets."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))


def _unquoted(value: str) -> str:
    if value[:1] in {"'", '"'}:
        return shlex.split(value)[0]
    return value.partition(" #")[0].rstrip()
