"""`sluice get`, `explain`, `logs`, `attempts` and `list`: what becomes of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from sluice.cli import views
from sluice.cli.arguments import SOME_ID, filters, moment
from sluice.cli.client_word import Id, Ids, Session, client_word, job_path, usage
from sluice.cli.formats import Document
from sluice.cli.suggestions import suggest
from sluice.cli.waiting import LOG_LINES

GET = usage(f"sluice get {SOME_ID}", f"sluice get {SOME_ID} -o json")
EXPLAIN = usage(f"sluice explain {SOME_ID}")
LOGS = usage(f"sluice logs {SOME_ID}", f"sluice logs {SOME_ID} --follow")
ATTEMPTS = usage(f"sluice attempts {SOME_ID}")
LIST = usage("sluice list --state failed --since 2h", "sluice list --kind demo.sum --all -o id")


@client_word
def get(session: Session, ids: Ids) -> None:
    """Show jobs as they are now."""
    documents = (session.ask("GET", job_path(each)) for each in ids)
    if len(ids) == 1:
        session.output.one(next(documents), views.JOB)
    else:
        session.output.each(documents, views.JOBS)


@client_word
def explain(session: Session, id: Id) -> None:
    """Say why a job is not done.

    It says what has happened to it so far, too.
    """
    session.output.one(session.ask("GET", f"{job_path(id)}/explain"), views.EXPLANATION)


@client_word
def logs(
    session: Session,
    id: Id,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show what comes until the job has ended")
    ] = False,
) -> None:
    """Show what the handler of a job has logged."""
    if follow:
        from sluice.client import LogLine

        seen = session.sluice.job(id).follow(logs=True)
        lines: Iterator[Document] = (each.raw for each in seen if isinstance(each, LogLine))
    else:
        lines = session.pages(f"{job_path(id)}/logs", "lines", page_size=1_000)
    session.output.each(lines, LOG_LINES)


@client_word
def attempts(session: Session, id: Id) -> None:
    """Show the attempts of a job that did not succeed.

    They have tracebacks if the key has the scope admin.
    """
    found = session.ask_for("attempts", f"{job_path(id)}/attempts")
    session.output.each(found, views.ATTEMPTS)


@client_word
def list_(
    session: Session,
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="In this state; several add up")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", autocompletion=suggest("kinds"), help="Of this kind")
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="With this tag")] = None,
    error: Annotated[
        str | None,
        typer.Option(
            metavar="FINGERPRINT",
            autocompletion=suggest("errors"),
            help="Failed with this error: see `sluice errors`",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", parser=moment, help="Created since: 2h ago, or a time with its zone"),
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="TIME", parser=moment, help="Created before")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, the newest")] = 50,
    all_: Annotated[bool, typer.Option("--all", help="All of them, however many")] = False,
) -> None:
    """List jobs, newest first."""
    query = filters(state or (), kind=kind, tag=tag, error=error, since=since, before=before)
    most = None if all_ else limit
    found = session.pages("/v1/jobs", "jobs", most, page_size=min(most or 1_000, 1_000), **query)
    session.output.each(found, views.JOBS)
