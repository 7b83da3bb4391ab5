"""`sluice cancel`, `retry` and `delete`: single jobs by their ids, or all that match a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.cli.arguments import FILTERS, SOME_ID, job_id, read_filters
from sluice.cli.bulk_acts import OF_A_BULK_ACT, Caution, carry_out, caution
from sluice.cli.client_word import Session, client_word, usage
from sluice.cli.formats import Document
from sluice.cli.statuses import DONE
from sluice.cli.suggestions import suggest
from sluice.cli.waiting import STEPS, document_of

if TYPE_CHECKING:
    from sluice.client import Job

CANCEL = usage(
    f"sluice cancel {SOME_ID}",
    "sluice cancel --filter state=queued --filter tag=import-7 --dry-run",
    also=OF_A_BULK_ACT,
)
RETRY = usage(
    f"sluice retry {SOME_ID}",
    "sluice retry --filter error=27f308596b3444eb --canary 10 --rate 50 --yes",
    also=OF_A_BULK_ACT,
)
DELETE = usage(
    f"sluice delete {SOME_ID}",
    "sluice delete --filter kind=demo.sum --filter before=30d --dry-run",
    also=OF_A_BULK_ACT,
)


def _ids(source: str) -> Any:
    return typer.Argument(metavar="ID", parser=job_id, autocompletion=suggest(source), help="Ids of jobs")


Unfinished = Annotated[list[str] | None, _ids("unfinished")]
Failed = Annotated[list[str] | None, _ids("failed")]
Ids = Annotated[list[str] | None, _ids("jobs")]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help=f"All that match, instead of IDs: {', '.join(FILTERS)}. Needs the scope admin",
    ),
]


def _cancel(session: Session, bulk: Caution, ids: Unfinished = None, filter: Filter = None) -> int:
    """Cancel jobs; those that run are asked to stop.

    --dry-run, --yes, --canary and --rate are for --filter, which counts first and asks.
    """
    return _change(session, "cancel", ids, filter, bulk, lambda job: document_of(job.cancel()).raw)


def _retry(session: Session, bulk: Caution, ids: Failed = None, filter: Filter = None) -> int:
    """Try failed jobs again, as new jobs.

    --dry-run, --yes, --canary and --rate are for --filter, which counts first and asks.
    """
    return _change(session, "retry", ids, filter, bulk, lambda job: document_of(job.retry()).raw)


def _delete(session: Session, bulk: Caution, ids: Ids = None, filter: Filter = None) -> int:
    """Delete finished jobs, with their results and logs.

    --dry-run, --yes, --canary and --rate are for --filter, which counts first and asks.
    """
    return _change(session, "delete", ids, filter, bulk, _forget)


def _forget(job: Job) -> None:
    job.delete()


cancel = client_word(_cancel, bulk=caution)
retry = client_word(_retry, bulk=caution)
delete = client_word(_delete, bulk=caution)


def _change(
    session: Session,
    act: str,
    ids: Ids,
    filter: Filter,
    bulk: Caution,
    change: Callable[[Job], Document | None],
) -> int:
    if bool(ids) == bool(filter):
        raise typer.BadParameter("it takes either IDs, or --filter")
    if filter:
        return carry_out(session, act, read_filters(filter), bulk)
    if bulk.given:
        raise typer.BadParameter("--dry-run, --yes, --canary and --rate go with --filter")
    return _change_each(session, ids or [], change)


def _change_each(session: Session, ids: Iterable[str], change: Callable[[Job], Document | None]) -> int:
    from sluice.cli.endings import describe, status_of
    from sluice.client import ClientError

    statuses = []

    def changed() -> Iterator[Document]:
        for id in ids:
            try:
                document = change(session.sluice.job(id))
            except ClientError as error:  # one of them does not keep the others from it
                typer.echo(describe(error), err=True)
                statuses.append(status_of(error))
            else:
                if document is not None:
                    yield document

    session.output.each(changed(), STEPS)
    return statuses[0] if statuses else DONE
