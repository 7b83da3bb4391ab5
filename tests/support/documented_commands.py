"""The `curl` commands of a page of the documentation, as a reader would copy them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"/v1/([a-z]+)/\$\{?(\w+)")
_STATED = re.compile(r"\s#[^'\"\n]*\b([1-5]\d\d)\b[^'\"\n]*$")
_ASSIGNED = re.compile(r"^(\w+)=")


class Command(NamedTuple):
    """One command of a page. `names` are the collections whose ids it wants, by the variable that it writes for them; `assigns` is the
    variable that it sets; `status` is the one that a comment at its end states.
    """

    text: str
    names: Mapping[str, str]
    assigns: str | None
    status: int | None


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands that call curl or set a variable, in order, however many lines each takes."""
    for block in _BLOCK.findall(page.read_text()):
        for text in _split(block):
            if re.search(r"\bcurl\b", text) or _ASSIGNED.match(text):
                yield _read(text)


def _read(text: str) -> Command:
    assigned, stated = _ASSIGNED.match(text), _STATED.search(text)
    return Command(
        text,
        {name: collection for collection, name in _NAMED.findall(text)},
        assigned and assigned[1],
        int(stated[1]) if stated else None,
    )


def _split(block: str) -> Iterator[str]:
    """Yield whole commands: lines belong together while a quote is open, or the last ends with a backslash or a pipe."""
    kept = ""
    for line in block.splitlines():
        kept = f"{kept}\n{line}" if kept else line
        if not _goes_on(kept):
            yield kept
            kept = ""
    assert not kept, f"this command does not end: {kept}"


def _goes_on(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return text.rstrip().endswith(("\\", "|"))
