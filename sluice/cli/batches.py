"""`sluice batch`: many jobs from a file with a line of JSON for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.cli.arguments import idempotency_key, parse_json
from sluice.cli.client_word import Session, client_word, usage
from sluice.cli.formats import Document, View, printable
from sluice.cli.statuses import DONE, REFUSED

if TYPE_CHECKING:
    from sluice.client.many import Batch

BATCH = usage(
    "sluice batch @jobs.ndjson",
    "sluice batch - --atomic <jobs.ndjson",
    "sluice batch @jobs.ndjson --key import-7 -o id",
)
MOST_ITEMS, MOST_BYTES, MOST_LINE = 10_000, 16 * 1024 * 1024, 4 * 1024 * 1024
"""Of one request, and of one line."""
MOST_RUNS = 10
"""Runs of lines that are named together."""
LONGEST_KEY = 240
"""Characters; the number of each further request is put behind it."""
Numbered = tuple[int, Any]


@client_word
def batch(
    session: Session,
    lines: Annotated[
        str,
        typer.Argument(metavar="@FILE", help='Lines such as {"kind": "demo.sum", "input": {…}}; - for stdin'),
    ],
    atomic: Annotated[bool, typer.Option("--atomic", help="Accept all or none, up to 1,000")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            parser=idempotency_key(LONGEST_KEY),
            help="Idempotency key: the same file with it makes the same jobs",
        ),
    ] = None,
) -> int:
    """Submit a job for each line of a file.

    It shows what came of each batch, which is one for every 10,000 lines. Lines that are refused do not keep the others from it, and are named on stderr.
    """
    from sluice.client.values import uuid7

    key = key or uuid7()
    refused = 0

    def batches() -> Iterator[Document]:
        nonlocal refused
        for number, items in enumerate(_portions(_items(lines), atomic), 1):
            session.left = f"what was accepted goes on; the same command with --key {key} makes nothing twice"
            made = session.sluice.batch(
                [item for _, item in items], atomic=atomic, key=key if number == 1 else f"{key}-{number}"
            )
            refused += _tell_refused(items, made)
            yield made.raw

    session.output.each(batches(), View(("id", "total", "counts"), line=_describe))
    return REFUSED if refused else DONE


def _describe(document: Document) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in document["counts"].items() if count)
    return f"{document['id']}  total {document['total']}: {counts}"


def _items(source: str) -> Iterator[tuple[int, int, Any]]:
    """Yield number, length and value of each line that is not blank. Raises BadParameter, OSError."""
    if source != "-" and not source.startswith("@"):
        raise typer.BadParameter("it takes @FILE, or - for stdin")
    with sys.stdin.buffer if source == "-" else Path(source[1:]).open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MOST_LINE), b""), 1):
            if len(line) == MOST_LINE:
                raise typer.BadParameter(f"line {number} has more than {MOST_LINE} bytes")
            if line.strip():
                yield number, len(line), parse_json(line, f"line {number}")


def _portions(items: Iterator[tuple[int, int, Any]], atomic: bool) -> Iterator[list[Numbered]]:
    """Yield as many items together as one request takes; all of them if they are to be accepted as one."""
    held: list[Numbered] = []
    size = 0
    for number, length, item in items:
        if held and not atomic and (len(held) == MOST_ITEMS or size + length > MOST_BYTES):
            yield held
            held, size = [], 0
        if size + length > MOST_BYTES or len(held) == MOST_ITEMS:
            raise typer.BadParameter("these are too many to be accepted as one")
        held.append((number, item))
        size += length
    if held:
        yield held


def _tell_refused(items: list[Numbered], batch: Batch[Any]) -> int:
    """Name the lines that were refused, those that are so for the same reason together; return how many they are."""
    lines: dict[str, list[int]] = {}
    for each in batch.refused:
        if each.problem is not None:
            flaws = [*map(str, each.problem.flaws)] or [each.problem.detail or each.problem.title]
            for flaw in dict.fromkeys(flaws):
                lines.setdefault(f"{each.problem.type}: {flaw}", []).append(items[each.index][0])
    for told, numbers in lines.items():
        typer.echo(f"sluice: {name_lines(numbers)}: {printable(told)}", err=True)
    return len(batch.refused)


def name_lines(numbers: Sequence[int]) -> str:
    """Name lines by their numbers, which rise: `line 3`, or `lines 1-3, 7`; of many runs of them the first ones."""
    if len(numbers) == 1:
        return f"line {numbers[0]}"
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(numbers), lambda placed: placed[1] - placed[0])
    ]
    told = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:MOST_RUNS]]
    more = sum(map(len, runs[MOST_RUNS:]))
    return f"lines {', '.join(told)}" + (f" and {more} more" if more else "")
