"""How a client's word writes what the API answered: a table on a terminal, lines of JSON elsewhere, or as `-o` says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

Format = Literal["json", "ndjson", "table", "id"]
Document = Mapping[str, Any]
Rows = Callable[[Sequence[Document]], "Table"]

ROWS_AT_ONCE = 200
"""Rows of one table: a longer list is a table after the other, so that its beginning is shown at once, and nothing grows with it."""
WIDE = 1_000
"""Columns where there is no terminal to fit into."""
_CONTROLS = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON may have as they are, and that make terminals do or hide something."""


class _Lenient(dict[str, Any]):
    """A document for people: what a server of another release leaves out of it is None."""

    def __missing__(self, _: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how documents are written. `id_name` is the field that `-o id` shows."""

    given: Format | None = None

    @property
    def form(self) -> Format:
        """What was asked for, or what suits whoever reads stdout."""
        return self.given or ("table" if sys.stdout.isatty() else "ndjson")

    def one(self, document: Document, table: Rows, id_name: str = "id") -> None:
        """Write one document."""
        if self.form == "json":
            typer.echo(_pretty(document))
        else:
            self.each([document], table, id_name)

    def each(self, documents: Iterable[Document], table: Rows, id_name: str = "id") -> None:
        """Write documents as they come."""
        if self.form == "table":
            _write_tables(documents, table)
        else:
            self._as_json(documents, id_name)

    def lines(
        self, documents: Iterable[Document], line: Callable[[Document], str], id_name: str = "id"
    ) -> None:
        """Write documents as they come, each as a line for people where others would be tables."""
        if self.form == "table":
            for each in documents:
                typer.echo(line(_Lenient(each)))
        else:
            self._as_json(documents, id_name)

    def value(self, value: Any) -> None:
        """Write what a job came to, which may be any JSON: laid out for a person, or as one line."""
        typer.echo(_pretty(value) if self.form in ("json", "table") else one_line(value))

    def _as_json(self, documents: Iterable[Document], id_name: str) -> None:
        if self.form == "json":
            _write_array(documents)
            return
        for each in documents:
            typer.echo(each.get(id_name, "") if self.form == "id" else one_line(each))


def one_line(value: Any) -> str:
    """Return JSON without a line break or a blank, as the API sends it."""
    return _shown(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def printable(text: object) -> str:
    """Return a text that neither moves the cursor nor hides anything, whatever a job has put into it."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text)
    )


def print_table(table: Table) -> None:
    """Write a table, with colours if stdout is a terminal and NO_COLOR is not set."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _write_tables(documents: Iterable[Document], table: Rows) -> None:
    held: list[Document] = []
    try:
        for each in documents:
            held.append(_Lenient(each))
            if len(held) == ROWS_AT_ONCE:
                print_table(table(held))
                held = []
    finally:  # what has come is shown, whatever keeps the rest from coming
        if held:
            print_table(table(held))


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
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
