"""`sluice watch`, `wait` and `result`: until jobs have ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.arguments import SOME_ID, seconds
from sluice.cli.client_word import Id, Ids, Session, client_word, goes_on, usage
from sluice.cli.formats import Document, View, describe_progress, one_line, printable
from sluice.cli.statuses import DONE, OF_AN_ENDING, TIMED_OUT
from sluice.cli.tables import ASKED_TO_STOP
from sluice.cli.views import OF_A_JOB

if TYPE_CHECKING:
    from sluice.client import Job, JobDocument

WATCH = usage(f"sluice watch {SOME_ID}", f"sluice watch {SOME_ID} -o ndjson", also=OF_AN_ENDING)
WAIT = usage(
    f"sluice wait {SOME_ID} --timeout 5m",
    "sluice list --tag nightly -o id | xargs sluice wait --any",
    also=OF_AN_ENDING,
)
RESULT = usage(f"sluice result {SOME_ID}", f"sluice result {SOME_ID} --wait 60s", also=OF_AN_ENDING)
SHOWN = 10
"""Ids of jobs in a sentence."""
Limit = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="TIME", parser=seconds, help="How long, such as 2h (default: for ever)"
    ),
]


@client_word
def watch(session: Session, id: Id, timeout: Limit = None) -> int:
    """Show a job whenever it has changed, until it has ended."""
    from sluice.cli.endings import status_of_state

    session.left = goes_on(id)
    job = session.sluice.job(id)
    seen = (each.raw for each in job.follow(timeout))
    session.output.each(seen, STEPS)
    return status_of_state(document_of(job).state)


@client_word
def wait(
    session: Session,
    ids: Ids,
    first: Annotated[bool, typer.Option("--any", help="Wait for the first of them, not for all")] = False,
    timeout: Limit = None,
) -> int:
    """Wait for the end of jobs, and show each as it ends.

    The exit status is that of the first ID that did not succeed, and 0 if there is none.
    """
    from sluice.cli.endings import status_of_state
    from sluice.client import WaitTimeout

    left = {id: session.sluice.job(id) for id in ids}
    session.left = goes_on(*left)
    statuses: dict[str, int] = {}

    def ended() -> Iterator[Document]:
        for job in session.sluice.as_completed(list(left.values()), timeout):
            document = document_of(job)
            statuses[left.pop(job.id).id] = status_of_state(document.state)
            session.left = goes_on(*left)
            yield document.raw
            if first:
                return

    try:
        session.output.each(ended(), STEPS)
    except WaitTimeout:
        typer.echo(f"sluice: these have not ended in time: {_some(list(left))}", err=True)
        return TIMED_OUT
    return next((statuses[id] for id in ids if statuses.get(id)), DONE)


@client_word
def result(
    session: Session,
    id: Id,
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="TIME", parser=seconds, help="How long to wait for its end (default: not at all)"
        ),
    ] = None,
) -> None:
    """Print what a job has come to, as JSON."""
    from sluice.client import WaitTimeout

    session.output.refuse_csv()
    session.left = goes_on(id)
    job = session.sluice.job(id)
    if wait is not None:
        job.wait(wait)
    elif not job.refresh().finished:
        raise WaitTimeout(f"job {id} has not ended: it is {job.state}", job=job)
    show_result(session, job)


def run_to_end(session: Session, job: Job, within_s: float | None) -> None:
    """Say on stderr what a job does until it has ended. Raises WaitTimeout, ApiError, ServerAway."""
    session.note(describe_step(document_of(job).raw))
    if not job.finished:
        for seen in job.follow(within_s):
            session.note(describe_step(seen.raw))


def show_result(session: Session, job: Job) -> None:
    """Write the result of a job that has ended. Raises JobFailed, JobCancelled, ApiError, ServerAway."""
    found = job.result()
    if session.output.form == "id":
        typer.echo(job.id)
    else:
        session.output.value(found)


def document_of(job: Job) -> JobDocument:
    """Return the document that was seen last, or that there is now. Raises ApiError, ServerAway."""
    return job.document or job.refresh()


def describe_step(document: Document) -> str:
    """Say how a job stands, in one line."""
    told = [document["state"]]
    if document.get("cancel_requested_at") and document.get("finished_at") is None:
        told.append(ASKED_TO_STOP)
    if document.get("queue_position"):
        told.append(f"number {document['queue_position']} of its lane")
    if (left_s := (document.get("eta") or {}).get("p50_s")) is not None:
        told.append(f"about {left_s:.0f} s to go")
    if (progress := document.get("progress")) and document["state"] == "running":
        told.append(describe_progress(progress))
    if document.get("error"):
        told.append(document["error"].get("type") or "")
    return printable(f"{document['id']}  {', '.join(each for each in told if each)}")


def describe_line(line: Document) -> str:
    """Say what a handler has logged, in one line."""
    fields = "".join(
        f"  {name}={value if isinstance(value, str) else one_line(value)}"
        for name, value in line["fields"].items()
    )
    return printable(f"{line['at']}  {line['level']:<7}  {line['message']}{fields}")


STEPS = View(OF_A_JOB, line=describe_step)
LOG_LINES = View(("at", "level", "attempt", "message", "fields"), "message", line=describe_line)


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return " ".join(ids[:SHOWN]) + more
