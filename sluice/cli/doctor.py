"""`sluice doctor`: whether this machine, its configuration, the server and the key go together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sluice import __version__
from sluice.cli.client_word import Session, client_word
from sluice.cli.configuration import Access
from sluice.cli.formats import Document, View, printable
from sluice.cli.scopes import find_scopes
from sluice.cli.usage import examples

DOCTOR = examples(
    "sluice doctor",
    "sluice doctor --profile staging -o json",
    status={
        0: "nothing is wrong",
        1: "something is: its `ok` is false",
        2: "no server is named, or what is configured cannot be used",
        4: "the key is not valid",
        6: "the server is away",
    },
)
MOST_SKEW_S = 5.0
"""A difference of clocks that disturbs nobody; `Date` has whole seconds."""
_ROUND_TRIPS = 5
Finding = dict[str, Any]


@client_word
def doctor(session: Session) -> int:
    """Check the configuration, the server, its clock and the key.

    It changes nothing.
    """
    wrong = False

    def findings() -> Iterator[Finding]:
        nonlocal wrong
        for each in _look(session):
            wrong = wrong or each["ok"] is False
            yield each

    session.output.each(findings(), View(("check", "ok", "found"), "check", line=_describe))
    return int(wrong)


def _look(session: Session) -> Iterator[Finding]:
    access = session.access()
    yield _finding("server", True, f"{access.url}, from {access.url_from}")
    yield _finding("key", True, f"{_name(access.key)}, from {access.key_from}")
    if not _is_private(access):
        yield _finding("encryption", False, "http to another machine: whoever is in between reads the key")
    version = session.ask("GET", "/").get("version")
    yield _finding("version", _same_line(version), f"server {version}, this command {__version__}")
    yield _clocks(access)
    scopes = find_scopes(session)
    yield _finding("scopes", bool(scopes), ", ".join(scopes) or "none")
    yield _finding(
        "round trip", True, f"{_round_trip_s(session) * 1_000:.1f} ms, the median of {_ROUND_TRIPS}"
    )


def _name(key: str) -> str:
    """Return what is no secret of a key."""
    parts = key.split("_")
    return f"slc_{parts[1]}_…" if len(parts) == 4 and parts[0] == "slc" else "of another form than keys have"


def _describe(finding: Document) -> str:
    marks = {True: "ok", False: "wrong", None: "-"}
    return printable(f"{marks[finding['ok']]:<5}  {finding['check']:<10}  {finding['found']}")


def _finding(check: str, ok: bool | None, found: str) -> Finding:
    return {"check": check, "ok": ok, "found": found}


def _is_private(access: Access) -> bool:
    """Tell whether nobody between here and the server can read along."""
    parts = urlsplit(access.url)
    try:
        return parts.scheme == "https" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def _same_line(version: object) -> bool | None:
    """Tell whether the server is of our major version: None if not, which may be no fault; what has no version is no Sluice."""
    if not isinstance(version, str):
        return False
    return True if version.split(".")[0] == __version__.split(".")[0] else None


def _clocks(access: Access) -> Finding:
    import httpx2

    before = datetime.now(UTC)
    try:
        date = httpx2.get(f"{access.url}/", timeout=10).headers.get("date", "")
        there = parsedate_to_datetime(date)
    except (httpx2.HTTPError, ValueError):
        return _finding("clock", None, "the server does not say what time it is")
    here = before + (datetime.now(UTC) - before) / 2
    ahead_s = (there - here).total_seconds() + 0.5
    return _finding(
        "clock",
        abs(ahead_s) <= MOST_SKEW_S,
        f"the server's is {ahead_s:+.1f} s from ours, give or take a second",
    )


def _round_trip_s(session: Session) -> float:
    took = []
    for _ in range(_ROUND_TRIPS):
        begun = time.perf_counter()
        session.ask("GET", "/")
        took.append(time.perf_counter() - begun)
    return sorted(took)[_ROUND_TRIPS // 2]
