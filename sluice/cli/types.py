"""`sluice types`: a module that tells editors and type checkers which kinds there are, what they take and what they return."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.client_word import Session, client_word
from sluice.cli.statuses import DONE, FAILED, MEANINGS
from sluice.cli.usage import examples

TYPES = examples(
    "sluice types >kinds.py",
    "sluice types --check kinds.py",
    status={each: means for each, means in MEANINGS.items() if each <= 6}
    | {FAILED: "the file of --check is out of date"},
)


@client_word
def types(
    session: Session,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write nothing; show how this file differs, and end with 1 if it does"
        ),
    ] = None,
) -> int:
    """Write a module of Python with the types of all kinds.

    Its Sluice and AsyncSluice are those of sluice.client, for type checkers with what each kind takes and returns.
    """
    import difflib  # with what is imported next: only this word waits for them

    from sluice.cli.types_module import without_source, write_module

    if session.output.given is not None:
        raise typer.BadParameter("it writes Python, and nothing else", param_hint="--output")
    module = write_module(session.sluice.kinds(), session.access().url)
    if check is None:
        typer.echo(module.encode(), nl=False)
        return DONE
    old, new = (without_source(text) for text in (check.read_text("utf-8", "replace"), module))
    if old == new:
        return DONE
    sys.stdout.writelines(
        f"{line}\n" for line in difflib.unified_diff(old, new, str(check), "the server", lineterm="")
    )
    typer.echo(f"sluice: {check} is out of date: `sluice types >{check}` writes it anew", err=True)
    return FAILED
