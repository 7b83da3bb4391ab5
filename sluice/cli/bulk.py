"""`sluice bulk`: acts on many jobs that were begun before, here or elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice.cli import views
from sluice.cli.arguments import job_id, seconds
from sluice.cli.bulk_acts import act_path
from sluice.cli.client_word import Session, client_word, usage
from sluice.cli.suggestions import suggest

SOME = "01a22321-8e99-748d-a037-87a48d2b4e9e"
MOST_WAIT_S = 50
app = typer.Typer(
    rich_markup_mode=None,
    help="Show and end bulk acts.\n\n`cancel`, `retry` and `delete` begin them with --filter, `errors retry` does, and so does "
    "the dashboard. It needs the scope admin.",
)
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        parser=job_id,
        autocompletion=suggest("bulk"),
        help="Its id, as `sluice bulk list` shows it",
    ),
]


@client_word
def _list_all(
    session: Session,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, the newest")] = 50,
) -> None:
    """Show bulk acts, newest first."""
    found = session.pages("/v1/bulk", "acts", limit, page_size=min(limit, 200))
    session.output.each(found, views.BULK_ACTS)


@client_word
def _show(
    session: Session,
    id: Id,
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="TIME", parser=seconds, help="Wait until it waits or has ended, at most so long"
        ),
    ] = None,
) -> None:
    """Show one as it stands."""
    session.output.one(session.ask("GET", act_path(id), wait=_bounded(wait)), views.BULK_ACT)


@client_word
def _go(session: Session, id: Id) -> None:
    """Let one go on that waits: after it has counted, or after its canary."""
    session.output.one(session.ask("POST", f"{act_path(id)}/go"), views.BULK_ACT)


@client_word
def _abort(session: Session, id: Id) -> None:
    """End one; what it has changed stays changed."""
    session.output.one(session.ask("POST", f"{act_path(id)}/abort"), views.BULK_ACT)


def _bounded(wait_s: float | None) -> int | None:
    """Return what one request may wait for: whoever wants to wait longer asks again."""
    return None if wait_s is None else round(min(wait_s, MOST_WAIT_S))


app.command("list", epilog=usage("sluice bulk list"))(_list_all)
app.command("show", epilog=usage(f"sluice bulk show {SOME}", f"sluice bulk show {SOME} --wait 30s"))(_show)
app.command("go", epilog=usage(f"sluice bulk go {SOME}"))(_go)
app.command("abort", epilog=usage(f"sluice bulk abort {SOME}"))(_abort)
