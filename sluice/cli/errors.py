"""`sluice errors`: what went wrong lately, what is known of it, and all jobs of one cause tried again."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sluice.cli import views
from sluice.cli.arguments import fingerprint
from sluice.cli.bulk_acts import OF_A_BULK_ACT, Caution, carry_out, caution
from sluice.cli.client_word import Session, client_group, client_word, usage
from sluice.cli.statuses import NOT_FOUND
from sluice.cli.suggestions import suggest

SOME = "27f308596b3444eb"
Fingerprint = Annotated[
    str,
    typer.Argument(
        metavar="FINGERPRINT",
        parser=fingerprint,
        autocompletion=suggest("errors"),
        help="That of the error, as `sluice errors` shows it",
    ),
]


def _list_errors(
    session: Session,
    state: Annotated[
        Literal["open", "resolved", "ignored"] | None, typer.Option(help="Only groups in this state")
    ] = None,
) -> None:
    """Show recent failures, grouped by their cause.

    The most frequent come first. `sluice list --error FINGERPRINT` lists the jobs of one.
    """
    found = session.ask("GET", "/v1/errors", state=state)
    session.output.each(found.get("errors") or (), views.ERRORS)
    if found.get("more"):
        session.note(f"sluice: only the newest {found.get('failures')} failures were looked at")


errors = client_group(
    _list_errors, usage("sluice errors --state open", f"sluice errors show {SOME}", "sluice errors -o id")
)


@client_word
def _show(session: Session, error: Fingerprint) -> int | None:
    """Show one group of failures."""
    found = next(
        (each for each in session.ask_for("errors", "/v1/errors") if each.get("fingerprint") == error), None
    )
    if found is None:
        typer.echo(
            f"sluice: error-unknown: no recent failure has the fingerprint {error}; see `sluice errors`",
            err=True,
        )
        return NOT_FOUND
    session.output.one(found, views.ERROR)
    session.note(
        f"sluice: `sluice list --error {error}` lists its jobs, `sluice errors retry {error}` tries them again"
    )
    return None


def _retry(session: Session, bulk: Caution, error: Fingerprint) -> int:
    """Try all jobs with this error again, as new jobs.

    It counts them first and asks. With a canary, the rest follows by itself if none of its new jobs has failed. It needs the scope admin.
    """
    return carry_out(session, "retry", {"error": error}, bulk)


@client_word
def _resolve(session: Session, error: Fingerprint) -> None:
    """Say that its cause is mended.

    The next failure opens the group again. It needs the scope admin.
    """
    _mark(session, error, "resolve")


@client_word
def _ignore(session: Session, error: Fingerprint) -> None:
    """Say that it is known, and nobody is to look.

    It needs the scope admin.
    """
    _mark(session, error, "ignore")


@client_word
def _reopen(session: Session, error: Fingerprint) -> None:
    """Forget that it was resolved or ignored.

    It needs the scope admin.
    """
    _mark(session, error, "reopen")


def _mark(session: Session, error: str, act: str) -> None:
    session.output.one(session.ask("POST", f"/v1/errors/{error}/{act}"), views.ERROR)


errors.command("show", epilog=usage(f"sluice errors show {SOME}"))(_show)
errors.command(
    "retry",
    epilog=usage(
        f"sluice errors retry {SOME} --dry-run",
        f"sluice errors retry {SOME} --canary 10 --rate 50/s --yes",
        also=OF_A_BULK_ACT,
    ),
)(client_word(_retry, bulk=caution))
errors.command("resolve", epilog=usage(f"sluice errors resolve {SOME}"))(_resolve)
errors.command("ignore", epilog=usage(f"sluice errors ignore {SOME}"))(_ignore)
errors.command("reopen", epilog=usage(f"sluice errors reopen {SOME}"))(_reopen)
