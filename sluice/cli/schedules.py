"""`sluice schedules`: jobs at the ticks of a cron expression."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer

from sluice.cli import views
from sluice.cli.arguments import plain_name, read_input
from sluice.cli.client_word import Session, client_word, usage
from sluice.cli.formats import Document
from sluice.cli.submitting import (
    Deadline,
    Input,
    Kind,
    Lane,
    MaxAttempts,
    Priority,
    Set,
    Tag,
    TimeLimit,
    given,
)
from sluice.cli.suggestions import suggest

CATCH_UP = Literal["one", "none", "all"]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        parser=plain_name,
        autocompletion=suggest("schedules"),
        help="Its name: 1 to 55 of a-z 0-9 . _ -",
    ),
]

app = typer.Typer(
    rich_markup_mode=None,
    help="Manage cron schedules, each tick of which becomes one job.\n\nIt needs the scope admin.",
)


def options(
    lane: Lane = None,
    priority: Priority = None,
    deadline: Deadline = None,
    time_limit: TimeLimit = None,
    max_attempts: MaxAttempts = None,
    tag: Tag = None,
) -> dict[str, Any]:
    """Return the options of the API that the jobs of a schedule have."""
    told = given(lane=lane, priority=priority, deadline_s=deadline, tags=tag)
    return told | given(timeout_s=time_limit, max_attempts=max_attempts)


def _set(
    session: Session,
    options: dict[str, Any],
    name: Name,
    kind: Kind,
    cron: Annotated[
        str,
        typer.Option(
            metavar="EXPR",
            help="Minute, hour, day of month, month, day of week, such as '30 3 * * MON-FRI'; or @daily",
        ),
    ],
    input: Input = None,
    sets: Set = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="IANA time zone in which --cron is read")
    ] = "UTC",
    catch_up: Annotated[
        CATCH_UP,
        typer.Option(help="What missed ticks make: one job for all of them, none, or one job each"),
    ] = "one",
) -> None:
    """Make a schedule, or put another in the place of the one of this name.

    One that is paused stays so.
    """
    body = {"kind": kind, "input": read_input(input, sets or ()), "options": options}
    when = {"cron": cron, "timezone": timezone, "catch_up": catch_up}
    session.output.one(session.ask("PUT", _path(name), body | when), views.SCHEDULE)


@client_word
def _list_all(session: Session) -> None:
    """Show every schedule, by name."""
    session.output.each(_all(session), views.SCHEDULES)


@client_word
def _next(
    session: Session,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many")] = 10,
) -> None:
    """Show which schedules fire next, the soonest first."""
    coming = (each for each in _all(session) if each.get("next_at"))
    session.output.each(heapq.nsmallest(limit, coming, lambda each: each["next_at"]), views.SCHEDULES)


@client_word
def _show(session: Session, name: Name) -> None:
    """Show one with its input."""
    session.output.one(session.ask("GET", _path(name)), views.SCHEDULE)


@client_word
def _pause(session: Session, name: Name) -> None:
    """Pause one: it makes no jobs until it is resumed."""
    session.output.one(session.ask("POST", f"{_path(name)}/pause"), views.SCHEDULE)


@client_word
def _resume(session: Session, name: Name) -> None:
    """Resume one, from its next tick on."""
    session.output.one(session.ask("POST", f"{_path(name)}/resume"), views.SCHEDULE)


@client_word
def _run(session: Session, name: Name) -> None:
    """Make one job now, paused or not, and print its id."""
    job = session.ask("POST", f"{_path(name)}/run")
    if session.output.given is None:
        typer.echo(job["id"])
    else:
        session.output.one(job, views.JOB)


@client_word
def _delete(session: Session, name: Name) -> None:
    """Delete one; its jobs stay."""
    session.sluice.request("DELETE", _path(name))


def _all(session: Session) -> Iterator[Document]:
    return session.pages("/v1/schedules", "schedules", page_size=1_000)


def _path(name: str) -> str:
    return f"/v1/schedules/{name}"


app.command(
    "set",
    epilog=usage(
        "sluice schedules set nightly demo.sum '{\"values\": [1, 2]}' \\",
        "       --cron '30 3 * * 1-5' --timezone Europe/Berlin",
        "sluice schedules set nightly demo.sum @values.json --cron @daily --time-limit 60s",
    ),
)(client_word(_set, options=options))
app.command("list", epilog=usage("sluice schedules list"))(_list_all)
app.command("next", epilog=usage("sluice schedules next"))(_next)
app.command("show", epilog=usage("sluice schedules show nightly"))(_show)
app.command("pause", epilog=usage("sluice schedules pause nightly"))(_pause)
app.command("resume", epilog=usage("sluice schedules resume nightly"))(_resume)
app.command("run", epilog=usage("JOB=$(sluice schedules run nightly)", "sluice schedules run nightly"))(_run)
app.command("delete", epilog=usage("sluice schedules delete nightly"))(_delete)
