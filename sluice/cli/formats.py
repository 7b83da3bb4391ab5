"""How a client's word writes what the API answered: a table on a terminal, lines of JSON elsewhere, or as `-o` says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from rich.table import Table

G = TypeVar("G")
T = TypeVar("T")
Format = Literal["json", "ndjson", "table", "csv", "id"]
Document = Mapping[str, Any]
Rows = Callable[[Sequence[Document]], "Table"]
Line = Callable[[Document], str]

ROWS_AT_ONCE = 200
"""Rows of one table: a longer list is a table after the other, so that its beginning is shown at once, and nothing grows with it."""
WIDE = 1_000
"""Columns where there is no terminal to fit into."""
_BEYOND_ASCII = re.compile(r"[^\n -~]")
"""Characters that JSON may have as they are, some of which make terminals do or hide something."""

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet would calculate, with such signs in full width."""


class _Lenient(dict[str, Any]):
    """A document for people: what a server of another release leaves out of it is None."""

    def __missing__(self, _: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class View:
    """How documents of one kind are shown: `table` makes a table of them for people, `line` a line of each as it comes.

    `columns` are their fields in CSV, which are never renamed or put in another order; `id` is the field that `-o id` shows.
    """

    columns: tuple[str, ...]
    id: str = "id"
    table: Rows | None = None
    line: Line = str


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how documents are written."""

    given: Format | None = None

    @property
    def form(self) -> Format:
        """What was asked for, or what suits whoever reads stdout."""
        return self.given or ("table" if sys.stdout.isatty() else "ndjson")

    def one(self, document: Document, view: View) -> None:
        """Write one document."""
        if self.form == "json":
            typer.echo(_pretty(document))
        else:
            self.each([document], view)

    def each(self, documents: Iterable[Document], view: View) -> None:
        """Write documents as they come."""
        match self.form:
            case "table":
                _write_for_people(documents, view)
            case "json":
                _write_array(documents)
            case "csv":
                _write_csv(documents, view.columns)
            case "id":
                _write_lines(printable(each.get(view.id) or "") for each in documents)
            case _:
                _write_lines(map(one_line, documents))

    def value(self, value: Any) -> None:
        """Write what a job came to, which may be any JSON: laid out for a person, or as one line."""
        typer.echo(_pretty(value) if self.form in ("json", "table") else one_line(value))

    def refuse_csv(self) -> None:
        """Raise BadParameter if CSV is wanted of what has no columns."""
        if self.form == "csv":
            raise typer.BadParameter(
                "a result may be any JSON, and has no columns: -o json or -o ndjson", param_hint="-o"
            )


def one_line(value: Any) -> str:
    """Return JSON without a line break or a blank, as the API sends it."""
    return _shown(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def printable(text: object) -> str:
    """Return a text that neither moves the cursor nor hides anything, whatever a job has put into it."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text)
    )


def csv_cell(value: Any) -> str:
    """Return a value for a cell: texts as they are, all else as JSON. No spreadsheet takes it for a formula, and it is in one line."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return one_line(value)
    return printable(f"'{value}" if _FORMULA.match(value) else value)


def print_table(table: Table) -> None:
    """Write a table, with colours if stdout is a terminal and NO_COLOR is not set."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _write_for_people(documents: Iterable[Document], view: View) -> None:
    if view.table is None:
        _write_lines(_shown_by(view.line, _Lenient(each)) for each in documents)
    else:
        _write_tables(documents, view.table)


def _write_lines(lines: Iterable[str]) -> None:
    for each in lines:
        typer.echo(each)


def _write_csv(documents: Iterable[Document], columns: Sequence[str]) -> None:
    """Write a heading and a row for each document, as they come."""
    import csv

    rows = csv.writer(_Stdout(), lineterminator="\n")
    rows.writerow(columns)
    for each in documents:
        rows.writerow([csv_cell(each.get(name)) for name in columns])


class _Stdout:
    def write(self, text: str) -> None:
        typer.echo(text, nl=False)


def _write_tables(documents: Iterable[Document], table: Rows) -> None:
    held: list[Document] = []
    try:
        for each in documents:
            held.append(_Lenient(each))
            if len(held) == ROWS_AT_ONCE:
                print_table(_shown_by(table, held))
                held = []
    finally:  # what has come is shown, whatever keeps the rest from coming
        if held:
            print_table(_shown_by(table, held))


def _shown_by(show: Callable[[G], T], given: G) -> T:
    """Return what this makes of documents. Raises BadAnswer if they are not of the form that it is made for."""
    try:
        return show(given)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        from sluice.client.errors import BadAnswer

        raise BadAnswer(
            "The answer has not the form that this command knows; -o ndjson shows it as it is."
        ) from error


def _write_array(documents: Iterable[Document]) -> None:
    rest = iter(documents)
    first = next(rest, None)
    if first is None:
        typer.echo("[]")
        return
    typer.echo(f"[{_pretty(first)}", nl=False)
    for each in rest:
        typer.echo(f",\n{_pretty(each)}", nl=False)
    typer.echo("]")


def _pretty(value: Any) -> str:
    return _shown(json.dumps(value, ensure_ascii=False, indent=2))


def _shown(text: str) -> str:
    return _BEYOND_ASCII.sub(
        lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text
    )


def describe_progress(progress: Document) -> str:
    """Say how far a job is, to a tenth of a percent, and its note."""
    percent = f"{round(progress.get('percent') or 0, 1):g} %"
    return printable(", ".join(filter(None, (percent, progress.get("note")))))


def describe_eta(eta: Document) -> str:
    """Say when such a job probably ends."""
    return f"half of them end within {eta['p50_s']:.1f} s, nine of ten within {eta['p90_s']:.1f} s"
