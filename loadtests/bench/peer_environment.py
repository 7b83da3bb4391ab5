"""Environments of Python for programs whose packages the product does not need, each as its own lock says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loadtests.bench.generator import BenchError
from loadtests.bench.product import ROOT


def python_with(lock: Path) -> str:
    """Return the interpreter of an environment below .local that holds exactly what is locked. Raises BenchError."""
    environment = ROOT / ".local" / "peers" / lock.parent.name
    python = environment / "bin" / "python"
    if not python.exists():
        _uv("venv", "--python", sys.executable, str(environment))
    _uv("pip", "sync", "--require-hashes", "--python", str(python), str(lock))
    return str(python)


def _uv(*words: str) -> None:
    command = [sys.executable, "-m", "uv", *words, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command
    if done.returncode:
        raise BenchError(f"uv {' '.join(words)}:\n{done.stderr.strip()}")
