"""What `--filter` begins: a bulk act, which counts first, asks, and then changes everything that matches."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from sluice.cli import views
from sluice.cli.arguments import rate as read_rate
from sluice.cli.client_word import Session
from sluice.cli.formats import Document
from sluice.cli.statuses import CANCELLED, DONE, FAILED

_WAIT_S = 10
OF_A_BULK_ACT = {
    FAILED: "it has stopped by itself, as some of its canary have failed",
    CANCELLED: "it was aborted",
}
"""Exit statuses of words that begin one."""
_ENDED = {"finished": DONE, "stopped": FAILED, "aborted": CANCELLED}


@dataclass(frozen=True, slots=True)
class Caution:
    """How carefully many jobs are changed."""

    dry_run: bool
    yes: bool
    canary: int | None
    rate: float | None

    @property
    def given(self) -> bool:
        """Whether anything of it was asked for."""
        return self.dry_run or self.yes or self.canary is not None or self.rate is not None

    @property
    def body(self) -> dict[str, Any]:
        """What the API takes of it."""
        return {
            name: value for name, value in (("canary", self.canary), ("rate", self.rate)) if value is not None
        }


def caution(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what matches")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    canary: Annotated[int | None, typer.Option(metavar="N", help="Begin with so many, and see")] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="RATE", parser=read_rate, help="At most so many, such as 50/s"),
    ] = None,
) -> Caution:
    """Return how carefully to go about it."""
    return Caution(dry_run, yes, canary, rate)


def act_path(id: str) -> str:
    """Return where a bulk act is."""
    return f"/v1/bulk/{quote(id, safe='')}"


def carry_out(session: Session, act: str, filter: Mapping[str, Any], how: Caution) -> int:
    """Count what matches, ask, change it, and write how that ended. Raises ClientError."""
    if not how.yes and not how.dry_run and not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask whether to go on: give --yes, or --dry-run")
    body = {"act": act, "filter": filter, "dry_run": True, **how.body}
    document = _read(session.ask("POST", "/v1/bulk", body))
    where = act_path(document["id"])
    try:
        document = _drive(session, where, document, how)
    except (KeyboardInterrupt, typer.Abort):
        document = _read(session.ask("POST", f"{where}/abort"))
        session.left = f"the bulk act is aborted; it has changed {document['changed']} jobs"
        raise KeyboardInterrupt from None
    session.output.one(document, views.BULK_ACT)
    nothing_to_do = how.dry_run or not document["matched"]
    return DONE if nothing_to_do and document["state"] == "aborted" else _ENDED[document["state"]]


def _drive(session: Session, where: str, document: Document, how: Caution) -> Document:
    told = ""
    while document["state"] not in _ENDED:
        if document["state"] == "waiting":
            agreed = not how.dry_run and document["matched"] and (how.yes or _agreed(document))
            document = _read(session.ask("POST", f"{where}/{'go' if agreed else 'abort'}"))
        else:
            document = _read(session.ask("GET", where, wait=_WAIT_S))
        if (step := _describe(document)) != told:
            session.note(told := step)
    return document


def _read(document: Document) -> Document:
    from sluice.client.documents import read_object

    return read_object(document, id=str, act=str, state=str, matched=int, changed=int)


def _describe(document: Document) -> str:
    return f"{document['act']}: {document['state']}, {document['changed']} of {document['matched']} changed"


def _agreed(document: Document) -> bool:
    done = f" {document['changed']} were done: look at some of them." if document["changed"] else ""
    left = document["matched"] - document["changed"]
    return typer.confirm(f"{done}{document['act']} {left} jobs?".strip().capitalize(), err=True)
