"""`sluice doctor`: whether this machine, its configuration, the server and the key go together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sluice import __version__
from sluice.cli.client_word import ADDRESS, Session, client_word
from sluice.cli.formats import Document, View, printable
from sluice.cli.profiles import ConfigurationRefused
from sluice.cli.scopes import find_scopes
from sluice.cli.statuses import AWAY, FAILED, NOT_ALLOWED, OVERLOADED, REFUSED
from sluice.cli.usage import examples

if TYPE_CHECKING:
    from sluice.client.errors import ClientError

DOCTOR = examples(
    "sluice doctor",
    "sluice doctor --profile staging -o json",
    status={
        0: "nothing is wrong",
        1: "something is: its `ok` is false, and `remedy` says what to do",
        2: "no server is named, or what is configured cannot be used",
        4: "the key is not valid",
        6: "the server is away",
    },
)
MOST_SKEW_S = 5.0
"""A difference of clocks that disturbs nobody; `Date` has whole seconds."""
_ROUND_TRIPS = 5
_FIRST_ANSWER = "round trip"
_REMEDIES = {
    NOT_ALLOWED: "set SLUICE_API_KEY to a valid key, or keep one with `sluice login`; `sluice keys create` makes one",
    OVERLOADED: "try again in a minute",
    AWAY: "try again in a minute; if it stays, ask whoever runs it: `sluice probe http://127.0.0.1:8001/readyz` there says what is away",
}
"""What to do about an error, by the exit status that it has."""
Finding = dict[str, Any]


@client_word
def doctor(session: Session) -> int:
    """Check the configuration, the server, its clock and the key.

    Whatever is wrong is reported, with what to do about it, and what cannot be checked then. It changes nothing.
    """
    statuses: list[int] = []
    view = View(("check", "ok", "found", "remedy"), "check", line=_describe)
    session.output.each(_look(session, statuses), view)
    return next(iter(statuses), 0)


def _look(session: Session, statuses: list[int]) -> Iterator[Finding]:
    """Yield what each check has found, and append the exit status of each that is wrong."""
    from sluice.cli.endings import status_of
    from sluice.client.errors import ClientError

    missing = ""
    for name, check in _CHECKS.items():
        if missing:
            yield _finding(name, None, f"not checked: {missing}")
            continue
        try:
            found = check(session)
        except ConfigurationRefused as error:
            found = _finding(name, False, "the configuration names none that can be used", str(error))
            statuses.append(REFUSED)
            missing = "it needs a server and a key"
        except ClientError as error:
            found = _finding(name, False, str(error), _remedy(error))
            statuses.append(status_of(error))
            missing = "it needs an answer of the server" if name == _FIRST_ANSWER else ""
        else:
            statuses.extend([FAILED] if found["ok"] is False else [])
        yield found


def _server(session: Session) -> Finding:
    access = session.access()
    return _finding("server", True, f"{access.url}, from {access.url_from}")


def _key(session: Session) -> Finding:
    access = session.access()
    return _finding("key", True, f"{_name(access.key)}, from {access.key_from}")


def _encryption(session: Session) -> Finding:
    url = session.access().url
    if url.startswith("https:"):
        return _finding("encryption", True, "https")
    if _is_private(url):
        return _finding("encryption", True, "none is needed: the server is this machine")
    return _finding(
        "encryption", False, "http to another machine: whoever is in between reads the key", "use https"
    )


def _version(session: Session) -> Finding:
    version = session.ask("GET", "/").get("version")
    if not isinstance(version, str):
        return _finding("version", False, "what answers there is no Sluice", ADDRESS)
    same = version.split(".")[0] == __version__.split(".")[0]
    return _finding(
        "version",
        True if same else None,  # another one need not be a fault
        f"server {version}, this command {__version__}",
        "" if same else f"install sluice-jobs {version} if something does not work",
    )


def _scopes(session: Session) -> Finding:
    scopes = find_scopes(session)
    remedy = (
        "" if scopes else "have a key made that may do something: `sluice keys create --scopes submit,read`"
    )
    return _finding("scopes", bool(scopes), ", ".join(scopes) or "none", remedy)


def _name(key: str) -> str:
    """Return what is no secret of a key."""
    parts = key.split("_")
    return f"slc_{parts[1]}_…" if len(parts) == 4 and parts[0] == "slc" else "of another form than keys have"


def _remedy(error: ClientError) -> str:
    """Say what to do about what a check ended with."""
    from sluice.cli.endings import status_of
    from sluice.client.errors import BadAnswer, ServerAway

    if isinstance(error, ServerAway):
        return ADDRESS
    elsewhere = f"something else may answer there: {ADDRESS}"
    return elsewhere if isinstance(error, BadAnswer) else _REMEDIES.get(status_of(error), elsewhere)


def _describe(finding: Document) -> str:
    marks = {True: "ok", False: "wrong", None: "-"}
    remedy = f"; {finding['remedy']}" if finding["remedy"] else ""
    return printable(f"{marks[finding['ok']]:<5}  {finding['check']:<10}  {finding['found']}{remedy}")


def _finding(check: str, ok: bool | None, found: str, remedy: str = "") -> Finding:
    return {"check": check, "ok": ok, "found": found, "remedy": remedy or None}


def _is_private(url: str) -> bool:
    """Tell whether nobody between here and the server can read along."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _clock(session: Session) -> Finding:
    import httpx2

    before = datetime.now(UTC)
    try:
        date = httpx2.get(f"{session.access().url}/", timeout=10).headers.get("date", "")
        there = parsedate_to_datetime(date)
    except (httpx2.HTTPError, ValueError):
        return _finding("clock", None, "the server does not say what time it is")
    here = before + (datetime.now(UTC) - before) / 2
    ahead_s = (there - here).total_seconds() + 0.5
    right = abs(ahead_s) <= MOST_SKEW_S
    return _finding(
        "clock",
        right,
        f"the server's is {round(ahead_s, 1) + 0:+.1f} s from ours, give or take a second",
        "" if right else "set the one that is wrong by NTP: times of schedules and webhooks hang on them",
    )


def _round_trip(session: Session) -> Finding:
    took = []
    for _ in range(_ROUND_TRIPS):
        begun = time.perf_counter()
        session.ask("GET", "/")
        took.append(time.perf_counter() - begun)
    median_ms = sorted(took)[_ROUND_TRIPS // 2] * 1_000
    return _finding(_FIRST_ANSWER, True, f"{median_ms:.1f} ms, the median of {_ROUND_TRIPS}")


_CHECKS: dict[str, Callable[[Session], Finding]] = {
    "server": _server,
    "key": _key,
    "encryption": _encryption,
    _FIRST_ANSWER: _round_trip,
    "version": _version,
    "clock": _clock,
    "scopes": _scopes,
}
"""In their order; what needs an answer comes behind the first that asks for one."""
