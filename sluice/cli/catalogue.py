"""`sluice kinds`, `lanes` and `errors`: what the server does, how it stands, and what went wrong lately."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from sluice.cli import tables
from sluice.cli.client_word import Session, client_word, usage

KINDS = usage("sluice kinds", "sluice kinds demo.sum -o json")
ERRORS = usage("sluice errors --state open", "sluice errors -o id")
LANES = usage(
    "sluice lanes",
    "sluice lanes pause heavy --reason 'the licence server is down'",
    "sluice lanes resume heavy",
)


@client_word
def kinds(
    session: Session,
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="Only this one, with its schemas")
    ] = None,
) -> None:
    """Show the kinds of work that the server takes."""
    if kind is None:
        session.output.each(session.ask_for("kinds", "/v1/kinds"), tables.kinds, "kind")
    else:
        session.output.one(session.ask("GET", f"/v1/kinds/{quote(kind, safe='')}"), tables.fields, "kind")


@client_word
def errors(
    session: Session,
    state: Annotated[
        Literal["open", "resolved", "ignored"] | None, typer.Option(help="Only groups in this state")
    ] = None,
) -> None:
    """Show recent failures, grouped by their cause.

    The most frequent come first. `sluice list --error FINGERPRINT` lists the jobs of one.
    """
    found = session.ask("GET", "/v1/errors", state=state)
    session.output.each(found.get("errors") or (), tables.errors, "fingerprint")
    if found.get("more"):
        session.note(f"sluice: only the newest {found.get('failures')} failures were looked at")


@client_word
def lanes(
    session: Session,
    act: Annotated[
        Literal["pause", "resume"] | None,
        typer.Argument(metavar="[pause|resume]", help="What to do with LANE"),
    ] = None,
    lane: Annotated[str | None, typer.Argument(metavar="LANE", help="Name of a lane")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is paused, in one line")] = None,
) -> None:
    """Show the lanes, pause one, or resume it.

    None of the jobs of a paused lane begins, whosever they are: all tenants share the lanes. It needs the scope operate.
    """
    if act is None:
        session.output.each(session.ask_for("lanes", "/v1/lanes"), tables.lanes, "name")
        return
    if lane is None or (act == "pause") != (reason is not None):
        raise typer.BadParameter("it takes `pause LANE --reason TEXT`, or `resume LANE`")
    body = {"reason": reason} if act == "pause" else None
    session.output.one(
        session.ask("POST", f"/v1/lanes/{quote(lane, safe='')}/{act}", body), tables.fields, "name"
    )
