"""`sluice events` and `open`: what happens to all jobs as it happens, and where to look at it in a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from sluice.cli.arguments import SOME_ID, job_id, seconds
from sluice.cli.client_word import Session, client_word, usage
from sluice.cli.formats import Document, View, describe_progress, printable
from sluice.cli.suggestions import suggest
from sluice.cli.waiting import describe_line, describe_step

EVENTS = usage("sluice events", "sluice events --event end --for 10m >ended.ndjson")
OPEN = usage("sluice open", f"sluice open {SOME_ID}")
NAMES = ("state", "progress", "log", "end", "reset")


def _event_name(text: str) -> str:
    if text not in NAMES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(NAMES)}")
    return text


@client_word
def events(
    session: Session,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="EVENT", parser=_event_name, help=f"Only {', '.join(NAMES)}; several add up"),
    ] = None,
    within: Annotated[
        float | None,
        typer.Option("--for", metavar="TIME", parser=seconds, help="End after so long (default: never)"),
    ] = None,
) -> None:
    """Show what happens to all jobs of the tenant, as it happens.

    It begins now, and ends with Ctrl-C. A stream that breaks off is begun again, and `reset` says that something may have been missed.
    """

    def told() -> Iterator[Document]:
        for each in session.sluice.events(within):
            if not event or each.name in event:
                yield {"event": each.name, "id": each.job_id, "data": each.data}

    session.output.each(told(), View(("event", "id", "data"), line=_describe))


@client_word
def open_(
    session: Session,
    id: Annotated[
        str | None,
        typer.Argument(metavar="ID", parser=job_id, autocompletion=suggest("jobs"), help="The id of a job"),
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Open no browser")] = False,
) -> None:
    """Open the dashboard, or a job in it, and print its address.

    No browser is opened where stdout is no terminal, or the terminal has no desktop around it.
    """
    address = f"{session.access().url}/ui{f'/jobs/{id}' if id else ''}"
    if session.output.given is None:
        typer.echo(address)
    else:
        session.output.one({"url": address}, View(("url",), "url", line=lambda each: printable(each["url"])))
    if not only_print and sys.stdout.isatty() and _has_desktop():
        import webbrowser

        webbrowser.open(address)


def _has_desktop() -> bool:
    """Tell whether a browser would be a window: one in the terminal is nothing that was asked for."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _describe(event: Document) -> str:
    data: Document = event["data"]
    match event["event"]:
        case "state" | "end":
            told = f"{data.get('kind')}  {describe_step(data)}"
        case "log":
            told = f"{data.get('job_id')}  {describe_line(data)}"
        case "progress":
            told = f"{data.get('id')}  {describe_progress(data.get('progress') or {})}"
        case _:
            told = str(data.get("detail") or "")
    return printable(f"{event['event']:<8}  {told}".rstrip())
