"""`sluice kinds` and `lanes`: what the server does, and how it stands."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from sluice.cli import views
from sluice.cli.client_word import Session, client_group, client_word, usage
from sluice.cli.suggestions import suggest

KINDS = usage("sluice kinds", "sluice kinds demo.sum -o json")
LANES = usage(
    "sluice lanes",
    "sluice lanes pause heavy --reason 'the licence server is down'",
    "sluice lanes resume heavy",
)
Lane = Annotated[str, typer.Argument(metavar="LANE", autocompletion=suggest("lanes"), help="Name of a lane")]


@client_word
def kinds(
    session: Session,
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", autocompletion=suggest("kinds"), help="Only this one, with its schemas"
        ),
    ] = None,
) -> None:
    """Show the kinds of work that the server takes."""
    if kind is None:
        session.output.each(session.ask_for("kinds", "/v1/kinds"), views.KINDS)
    else:
        session.output.one(session.ask("GET", f"/v1/kinds/{quote(kind, safe='')}"), views.KIND)


def _list_lanes(session: Session) -> None:
    """Show the lanes, pause one, or resume it.

    All tenants share them. It needs the scope operate.
    """
    session.output.each(session.ask_for("lanes", "/v1/lanes"), views.LANES)


lanes = client_group(_list_lanes, LANES)


@client_word
def _pause(
    session: Session,
    lane: Lane,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, in one line")],
) -> None:
    """Let none of the jobs of a lane begin, whosever they are.

    Those that run go on. It needs the scope operate.
    """
    session.output.one(session.ask("POST", f"{_path(lane)}/pause", {"reason": reason}), views.LANE)


@client_word
def _resume(session: Session, lane: Lane) -> None:
    """Let the jobs of a lane begin again.

    It needs the scope operate.
    """
    session.output.one(session.ask("POST", f"{_path(lane)}/resume"), views.LANE)


lanes.command("pause", epilog=usage("sluice lanes pause heavy --reason 'the licence server is down'"))(_pause)
lanes.command("resume", epilog=usage("sluice lanes resume heavy"))(_resume)


def _path(lane: str) -> str:
    return f"/v1/lanes/{quote(lane, safe='')}"
