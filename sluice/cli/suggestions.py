"""What a shell may complete besides words and options: kinds, lanes, names and recent ids, as the server knows them.

What was asked for is kept for a minute, in a file for each address and key. If there is none, a process of its own asks, and the shell
waits for it a moment only: what comes too late is there at the next Tab. Whatever goes wrong, nothing is suggested.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import typer

from sluice.cli.configuration import Access, find_access
from sluice.cli.profiles import read_profiles

FRESH_S, PAUSE_S = 60.0, 3.0
"""How long an answer is good, and how long nobody asks again meanwhile, or after none has come."""
PATIENCE_S = 0.12
"""How long the shell waits."""
LONGEST_S = 30
"""How long the process that asks lives."""
MOST, MOST_KEPT = 50, 200
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What no shell takes for anything but a word; zsh evaluates what it is told."""
_OLD_S = 86_400.0


class Source(NamedTuple):
    """Where values come from: a path, the list in its answer, and the field of each item that has one."""

    path: str
    items: str
    field: str


SOURCES = {
    "jobs": Source(f"/v1/jobs?page_size={MOST}", "jobs", "id"),
    "unfinished": Source(
        f"/v1/jobs?state=scheduled&state=queued&state=running&page_size={MOST}", "jobs", "id"
    ),
    "failed": Source(f"/v1/jobs?state=failed&page_size={MOST}", "jobs", "id"),
    "kinds": Source("/v1/kinds", "kinds", "kind"),
    "lanes": Source("/v1/lanes", "lanes", "name"),
    "lanes of kinds": Source("/v1/kinds", "kinds", "lane"),
    "errors": Source("/v1/errors", "errors", "fingerprint"),
    "schedules": Source("/v1/schedules?page_size=200", "schedules", "name"),
    "bulk": Source(f"/v1/bulk?page_size={MOST}", "acts", "id"),
    "webhooks": Source("/v1/webhooks", "webhooks", "id"),
    "keys": Source(f"/v1/keys?page_size={MOST}", "keys", "id"),
}


def suggest(name: str) -> Callable[[typer.Context, str], list[str]]:
    """Return what completes values of this source, for `autocompletion` of an argument or an option."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            access = find_access(ctx.params.get("url"), ctx.params.get("profile"))
            found = _recall(SOURCES[name], access)
        except Exception:  # noqa: BLE001  a line that is being typed has no place for an error
            return []
        return [each for each in found if each.startswith(incomplete)]

    return complete


def suggest_profiles(incomplete: str) -> list[str]:
    """Return the profiles that are kept here."""
    try:
        return [each for each in sorted(read_profiles().named) if each.startswith(incomplete)]
    except Exception:  # noqa: BLE001  as above
        return []


def _recall(source: Source, access: Access) -> list[str]:
    file = _file(source, access)
    kept = _read(file)
    if kept is None and hasattr(os, "fork"):
        _write(file, [], PAUSE_S)
        _ask_apart(source, access, file)
        kept = _read(file)
    return kept or []


def _file(source: Source, access: Access) -> Path:
    """Return where the values are kept that this server shows to this key; the name tells neither."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    whose = sha256("\0".join((access.url, access.key, *source)).encode()).hexdigest()
    return root / "sluice" / f"{whose[:40]}.json"


def _read(file: Path) -> list[str] | None:
    """Return what is kept and still good."""
    try:
        kept = json.loads(file.read_bytes())
        if not 0 < kept["until"] - time.time() <= FRESH_S:
            return None
        return [each for each in kept["values"] if _PLAIN.fullmatch(each)]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(file: Path, values: list[str], good_s: float) -> None:
    """Replace what is kept, which nobody else may read. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, new = tempfile.mkstemp(dir=file.parent, prefix=".new-")  # with mode 0600
    with os.fdopen(number, "w", encoding="utf-8") as stream:
        json.dump({"until": time.time() + good_s, "values": values}, stream)
    Path(new).replace(file)


def _ask_apart(source: Source, access: Access, file: Path) -> None:
    """Have another process ask, and wait until it has ended, but not long."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        _ask_and_end(source, access, file)
    os.close(writing)
    select.select([reading], [], [], PATIENCE_S)  # readable once the other process has ended
    os.close(reading)


def _ask_and_end(source: Source, access: Access, file: Path) -> None:
    """Keep what the server answers, with nothing of the shell in hand, and end."""
    try:
        signal.alarm(LONGEST_S)
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):  # or the shell would wait for them
            os.dup2(nowhere, stream)
        keep(source, access, file)
    finally:
        os._exit(0)


def keep(source: Source, access: Access, file: Path) -> None:
    """Keep what the server answers. Raises ClientError, OSError."""
    _write(file, _ask(source, access), FRESH_S)
    _drop_old(file.parent)


def _ask(source: Source, access: Access) -> list[str]:
    from sluice.client import Retries, Sluice

    with Sluice(access.url, access.key, retries=Retries(tries=1)) as sluice:
        answer = sluice.request("GET", source.path)
    found = (each.get(source.field) for each in answer[source.items])
    return [each for each in dict.fromkeys(found) if each and _PLAIN.fullmatch(each)][:MOST_KEPT]


def _drop_old(directory: Path) -> None:
    for each in directory.iterdir():
        with contextlib.suppress(OSError):
            if each.stat().st_mtime < time.time() - _OLD_S:
                each.unlink()
