"""`sluice run` and `submit`: jobs to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sluice.cli import views
from sluice.cli.arguments import idempotency_key, read_input, seconds
from sluice.cli.client_word import Session, client_word, goes_on, usage
from sluice.cli.statuses import OF_AN_ENDING
from sluice.cli.suggestions import suggest
from sluice.cli.waiting import document_of, run_to_end, show_result

if TYPE_CHECKING:
    from sluice.client import Job

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        autocompletion=suggest("kinds"),
        help="What to do, such as demo.sum: see `sluice kinds`",
    ),
]
Input = Annotated[
    str | None, typer.Argument(metavar="INPUT", help="JSON, @FILE, or - for stdin (default: {})")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a field of the input; a.b=1 one inside another"),
]
RUN = usage(
    "sluice run demo.sum '{\"values\": [1, 2, 3]}'",
    "sluice run demo.sleep --set seconds=2 --wait 60s",
    "sluice run demo.sum @values.json --detach",
    also=OF_AN_ENDING,
)
SUBMIT = usage(
    "sluice submit demo.sum @values.json", "ID=$(sluice submit demo.sleep --set seconds=2 --tag nightly)"
)


Lane = Annotated[
    str | None,
    typer.Option(metavar="LANE", autocompletion=suggest("lanes of kinds"), help="The lane to run in"),
]
Priority = Annotated[Literal["high", "normal", "low"] | None, typer.Option(help="Its share of the lane")]
TimeLimit = Annotated[
    float | None, typer.Option(metavar="TIME", parser=seconds, help="How long one attempt may take")
]
MaxAttempts = Annotated[int | None, typer.Option(metavar="N", help="Attempts in all")]
Tag = Annotated[list[str] | None, typer.Option(metavar="TAG", help="A word to find it by; several add up")]
Deadline = Annotated[
    float | None,
    typer.Option(metavar="TIME", parser=seconds, help="Fail if it has not begun within so long"),
]


def starting(
    delay: Annotated[
        float | None,
        typer.Option(metavar="TIME", parser=seconds, help="Do not begin before so long, such as 5m"),
    ] = None,
    run_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Do not begin before, such as 2026-12-24T09:00:00Z")
    ] = None,
    deadline: Deadline = None,
) -> dict[str, Any]:
    """Return the options of the API that say when a job may begin."""
    return given(delay_s=delay, run_at=run_at, deadline_s=deadline)


def job_options(
    lane: Lane = None,
    priority: Priority = None,
    time_limit: TimeLimit = None,
    max_attempts: MaxAttempts = None,
    cache: Annotated[
        Literal["use", "refresh", "off"] | None, typer.Option(help="Whether an equal result will do")
    ] = None,
    tag: Tag = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="ID", autocompletion=suggest("webhooks"), help="The webhook that is told how it ends"
        ),
    ] = None,
) -> dict[str, Any]:
    """Return the other options of the API."""
    told = given(lane=lane, priority=priority, cache=cache, tags=tag, webhook=webhook)
    return told | given(timeout_s=time_limit, max_attempts=max_attempts)


def given(**options: object) -> dict[str, Any]:
    """Return those options that are given."""
    return {name: value for name, value in options.items() if value is not None and value != []}


Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        parser=idempotency_key(255),
        help="Idempotency key: the same command with it is the same job",
    ),
]


def _run(
    session: Session,
    start: dict[str, Any],
    options: dict[str, Any],
    kind: Kind,
    input: Input = None,
    sets: Set = None,
    key: Key = None,
    wait: Annotated[
        float | None,
        typer.Option(metavar="TIME", parser=seconds, help="How long to wait for its end, such as 60s"),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait: print the id")] = False,
) -> None:
    """Submit a job, wait for its end, and print its result.

    What becomes of it meanwhile is said on stderr.
    """
    if detach:
        _submit(session, start, options, kind, input, sets, key)
        return
    session.output.refuse_csv()
    job = _accept(session, start | options, kind, read_input(input, sets or ()), key)
    session.left = goes_on(job.id)
    run_to_end(session, job, wait)
    show_result(session, job)


def _submit(
    session: Session,
    start: dict[str, Any],
    options: dict[str, Any],
    kind: Kind,
    input: Input = None,
    sets: Set = None,
    key: Key = None,
) -> None:
    """Submit a job, and print its id."""
    job = _accept(session, start | options, kind, read_input(input, sets or ()), key)
    if session.output.given is None:
        typer.echo(job.id)
    else:
        session.output.one(document_of(job).raw, views.JOB)


def _accept(session: Session, options: dict[str, Any], kind: str, input: Any, key: str | None) -> Job:
    from sluice.client.values import uuid7

    key = key or uuid7()
    session.left = f"if it was accepted, the same command with --key {key} finds the job"
    return session.sluice.submit(kind, input, key=key, **options)


run = client_word(_run, options=job_options, start=starting)
submit = client_word(_submit, options=job_options, start=starting)
