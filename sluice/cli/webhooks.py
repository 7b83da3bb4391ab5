"""`sluice webhooks`: endpoints that are told how jobs end, and what was sent to them."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from sluice.cli import views
from sluice.cli.arguments import moment, plain_name, seconds
from sluice.cli.client_word import Session, client_word, print_secret, usage
from sluice.cli.formats import Document, printable
from sluice.cli.statuses import DONE, FAILED, MEANINGS, TIMED_OUT
from sluice.cli.suggestions import suggest

SOME = "5c1f9d0e-8e99-448d-a037-87a48d2b4e9e"
USUAL_WAIT_S = 20.0
NEWEST = 200
"""Deliveries among which that of a test is looked for."""
app = typer.Typer(
    rich_markup_mode=None,
    help="Manage the endpoints of yours that are told how jobs end.\n\nIt needs the scope admin.",
)
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        parser=plain_name,
        autocompletion=suggest("webhooks"),
        help="Its id, as `sluice webhooks list` shows it",
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(metavar="TIME", parser=seconds, help="How long to wait for what comes of it (default: 20s)"),
]
Endpoint = Annotated[str, typer.Argument(metavar="URL", help="Where to: https://HOST/PATH")]


@client_word
def _list_all(session: Session) -> None:
    """Show the webhooks, oldest first."""
    session.output.each(session.ask_for("webhooks", "/v1/webhooks"), views.WEBHOOKS)


@client_word
def _show(session: Session, id: Id) -> None:
    """Show one, and whether what is sent to it arrives."""
    session.output.one(session.ask("GET", _path(id)), views.WEBHOOK)


@client_word
def _add(
    session: Session,
    endpoint: Endpoint,
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT",
            help="job.succeeded, job.failed or job.cancelled; several add up (default: all three)",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND", autocompletion=suggest("kinds"), help="Only of jobs of this kind; several add up"
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only of jobs with this tag; several add up")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Tell it nothing until it has proved that it wants it")
    ] = False,
) -> None:
    """Register an endpoint, and print its secret, this once.

    What it is sent is signed with the secret.
    """
    asked = {"events": event, "kinds": kind, "tags": tag, "verify": verify}
    body = {"url": endpoint} | {name: value for name, value in asked.items() if value}
    print_secret(session, session.ask("POST", "/v1/webhooks", body), "secret", views.WEBHOOK)


@client_word
def _rotate(
    session: Session,
    id: Id,
    overlap: Annotated[
        float | None,
        typer.Option(
            metavar="TIME", parser=seconds, help="How long the old one signs as well (default: a day)"
        ),
    ] = None,
) -> None:
    """Put a new secret in the place of the old one, and print it, this once."""
    body = {} if overlap is None else {"overlap_s": round(overlap)}
    print_secret(session, session.ask("POST", f"{_path(id)}/rotate", body), "secret", views.WEBHOOK)


@client_word
def _test(session: Session, id: Id, wait: Wait = None) -> int:
    """Send it something, and show what comes of that."""
    return _send(session, id, "test", wait)


@client_word
def _verify(session: Session, id: Id, wait: Wait = None) -> int:
    """Ask it to prove that it wants what is sent, and show what comes of that.

    If it does, it goes on, whatever it was disabled for.
    """
    return _send(session, id, "verify", wait)


@client_word
def _deliveries(
    session: Session,
    id: Id,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, the newest")] = 50,
    all_: Annotated[bool, typer.Option("--all", help="All of the last seven days")] = False,
) -> None:
    """Show what was sent to it, newest first, and what came of that."""
    most = None if all_ else limit
    found = session.pages(f"{_path(id)}/tries", "tries", most, page_size=min(most or 1_000, 1_000))
    session.output.each(found, views.DELIVERIES)


@client_word
def _redeliver(
    session: Session,
    id: Id,
    delivery: Annotated[
        str | None, typer.Argument(metavar="DELIVERY", help="The id of one, whatever came of it")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", parser=moment, help="Those made since that have failed, such as 2h"),
    ] = None,
) -> None:
    """Send something again: one delivery, or all that have failed since a time."""
    if (delivery is None) == (since is None):
        raise typer.BadParameter("it takes either DELIVERY, or --since")
    body = {"delivery": delivery} if delivery else {"since": since}
    session.output.one(session.ask("POST", f"{_path(id)}/redeliver", body), views.REDELIVERED)


@client_word
def _delete(session: Session, id: Id) -> None:
    """Delete one; what was to be sent is given up."""
    session.sluice.request("DELETE", _path(id))


def _send(session: Session, id: str, what: str, wait: float | None) -> int:
    """Have a test or a verification sent, show what comes of it in time, and return the exit status."""
    sent = session.ask("POST", f"{_path(id)}/{what}")["id"]
    session.left = f"it is tried again; `sluice webhooks deliveries {id}` shows what comes of it"
    found = _see_through(session, id, sent, time.monotonic() + (USUAL_WAIT_S if wait is None else wait))
    session.output.one(found or {"id": sent}, views.DELIVERY)
    if found is None or not found["tries"]:
        typer.echo(f"sluice: nothing has been sent in time; {session.left}", err=True)
        return TIMED_OUT
    if found["state"] == "delivered":
        return DONE
    typer.echo(f"sluice: {_FAILED[what]}: {printable(found['outcome'] or found['status'])}", err=True)
    return FAILED


def _see_through(session: Session, id: str, sent: str, until: float) -> Document | None:
    """Look at a delivery until it was tried, or the time is up; return it as it was seen last."""
    while True:
        tries: list[dict[str, Any]] = session.ask_for("tries", f"{_path(id)}/tries", page_size=NEWEST)
        found = next((each for each in tries if each["id"] == sent), None)
        over = found is not None and found["tries"] and found["state"] != "sending"
        if over or time.monotonic() >= until:
            return found
        time.sleep(min(1.0, max(0.0, until - time.monotonic())))


def _path(id: str) -> str:
    return f"/v1/webhooks/{id}"


_FAILED = {"test": "the test has not arrived", "verify": "it has not proved that it wants what is sent"}
_LATE = MEANINGS[TIMED_OUT].replace("the job", "what to look at")
_TEST, _VERIFY = (
    {FAILED: f"{said}; stderr says why", TIMED_OUT: _LATE}
    for said in ("it has not arrived", _FAILED["verify"])
)
app.command("list", epilog=usage("sluice webhooks list", "sluice webhooks list -o id"))(_list_all)
app.command("show", epilog=usage(f"sluice webhooks show {SOME}"))(_show)
app.command(
    "add",
    epilog=usage(
        "sluice webhooks add https://hooks.example.com/sluice --event job.failed",
        "SECRET=$(sluice webhooks add https://hooks.example.com/sluice)",
    ),
)(_add)
app.command("test", epilog=usage(f"sluice webhooks test {SOME}", also=_TEST))(_test)
app.command("verify", epilog=usage(f"sluice webhooks verify {SOME}", also=_VERIFY))(_verify)
app.command(
    "deliveries", epilog=usage(f"sluice webhooks deliveries {SOME}", f"sluice webhooks deliveries {SOME} --all -o csv")
)(_deliveries)  # fmt: skip
app.command(
    "redeliver", epilog=usage(f"sluice webhooks redeliver {SOME} --since 2h", f"sluice webhooks redeliver {SOME} DELIVERY")
)(_redeliver)  # fmt: skip
app.command("rotate", epilog=usage(f"sluice webhooks rotate {SOME} --overlap 2d"))(_rotate)
app.command("delete", epilog=usage(f"sluice webhooks delete {SOME}"))(_delete)
