"""What the load is aimed at, how large it may be, and what is demanded of the answers."""

from __future__ import annotations

import ipaddress
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
ADDRESSES = ROOT / ".local" / "env"
"""Where a running stack leaves its address and a key."""

REPORTS = ROOT / ".local" / "load"

ANYWHERE = "SLUICE_LOAD_ANYWHERE"
"""Environment variable; `1` lets the load leave this machine."""

DIRECTORY = "SLUICE_LOAD_DIRECTORY"
"""Environment variable; where reports are written instead."""

P95_MS = 500.0
"""Limit for every kind of request, refusals included."""

POLLS_PER_JOB = 2.5
"""Status requests per finished job, of a client that follows Retry-After."""

USERS, FEWEST_USERS, MOST_USERS = 30, 6, 1_000
SECONDS, MOST_SECONDS = 20, 600

READS_PER_S, WAITS_PER_S, POLLED_JOBS_PER_S = 50.0, 10.0, 0.25
"""Per user; one that polls gives its jobs four seconds, as the advice is in whole seconds."""

LONGEST_ADVICE_S = 5.0
"""Users come back after this long even if the advice is longer."""

JOB_DEADLINE_S = 30.0
"""A job that takes longer is an error."""


class NoTarget(Exception):
    """There is nothing that may be loaded; the message says why."""


class Target(NamedTuple):
    """The address of an api, and a key that may submit and read."""

    url: str
    key: str


def target(environment: Mapping[str, str] = os.environ, addresses: Path = ADDRESSES) -> Target:
    """Return the stack named by SLUICE_URL and SLUICE_API_KEY, else the one that runs here. Raises NoTarget."""
    known = _read(addresses) | {name: value for name, value in environment.items() if value}
    url, key = known.get("SLUICE_URL", ""), known.get("SLUICE_API_KEY", "")
    if not url or not key:
        raise NoTarget("nothing runs here: `make run` first, or set SLUICE_URL and SLUICE_API_KEY")
    if not _is_here(url) and known.get(ANYWHERE) != "1":
        raise NoTarget(f"{url} is not this machine; whoever owns it may want it so: --anywhere")
    return Target(url.rstrip("/"), key)


def report_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a run leaves its figures."""
    return Path(environment.get(DIRECTORY) or REPORTS)


def _is_here(url: str) -> bool:
    """Accept only addresses that cannot lead elsewhere; a name could."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(file: Path) -> dict[str, str]:
    words = shlex.split(file.read_text(), comments=True) if file.exists() else []
    return {name: value for name, mark, value in (word.partition("=") for word in words) if mark}
