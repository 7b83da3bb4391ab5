"""Where a figure was measured; without its machine it means nothing."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("uvicorn", "uvloop", "httptools", "fastapi", "asyncpg", "aio-pika", "redis", "orjson", "pydantic")


def describe(servers: dict[str, str], load_before: float) -> dict[str, str]:
    """Say when and on what, for people."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{cores()} cores, {_model()}, {_system()}",
        "load average before": f"{load_before:.2f} ({_verdict(load_before)})",
        "servers": ", ".join(f"{name} {number}" for name, number in servers.items()),
        "Python": ", ".join([platform.python_version(), *(f"{name} {version(name)}" for name in PACKAGES)]),
    }


def cores() -> int:
    """Return how many processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def _verdict(load: float) -> str:
    return "quiet" if load < 0.3 * cores() else "others used the machine: figures are too low"


def _model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _system() -> str:
    release = Path("/etc/os-release")
    found = re.search(r'PRETTY_NAME="(.+)"', release.read_text()) if release.exists() else None
    return found[1] if found else platform.platform(terse=True)
