"""A CSV as text: its header, its cells, and the line in which a row begins.

Polars reads the cells but does not say where a row began, so a refusal walks through the text once more.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import NoReturn

import polars as pl

from sluice import GiveUp

NAMES = ("asset", "signal", "time", "value")
DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
MAX_ROWS = 500_000
MAX_COLUMNS = 100
ROW = "row"
"""Name of the column that counts the rows below the header, from 0."""


@dataclass(frozen=True)
class Sheet:
    """The text without byte order mark, with `\\n` at the ends of its lines."""

    text: str
    delimiter: str
    most_rows: int = MAX_ROWS

    @classmethod
    def of(cls, text: str, delimiter: str, most_rows: int = MAX_ROWS) -> Sheet:
        """Take a client's text. Raises GiveUp if it is empty."""
        plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if not plain.strip():
            raise GiveUp("The CSV is empty: send a header and at least one row.")
        return cls(plain, delimiter, most_rows)

    def cells(self) -> pl.DataFrame:
        """Return the four columns as stripped text, empty cells as null, and the number of each row; skip blank lines.

        Raises GiveUp for a header that does not name them, for rows that cannot be read, and for too many.
        """
        places = self._places()
        frame = self._frame()
        cells = frame.select(
            **{name: pl.nth(place).str.strip_chars().replace("", None) for name, place in places.items()}
        ).with_row_index(ROW)
        cells = cells.filter(pl.any_horizontal(pl.col(*NAMES).is_not_null()))
        if cells.height == 0:
            raise GiveUp("The CSV has a header and no row below it.")
        if cells.height > self.most_rows:
            raise GiveUp(
                f"The CSV has {cells.height:,} rows, at most {self.most_rows:,} are read: send it in parts."
            )
        return cells

    def line_of(self, row: int) -> int:
        """Return the line, counted from 1, in which this row begins."""
        for number, (line, _) in enumerate(self._records()):
            if number == row + 1:
                return line
        raise IndexError(row)

    def _frame(self) -> pl.DataFrame:
        try:
            return pl.read_csv(StringIO(self.text.lstrip("\n")), separator=self.delimiter, infer_schema=False)
        except pl.exceptions.PolarsError as error:
            self._refuse_damage(error)

    def _places(self) -> dict[str, int]:
        header = [name.strip().lower() for name in self._header()]
        for name in NAMES:
            if header.count(name) != 1:
                raise GiveUp(_header_words(header, name, self.delimiter))
        return {name: header.index(name) for name in NAMES}

    def _header(self) -> list[str]:
        _, header = next(self._records())
        if len(header) > MAX_COLUMNS:
            raise GiveUp(f"The CSV has {len(header):,} columns, at most {MAX_COLUMNS} are read.")
        return header

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every record with the line it begins in; empty lines above the header are none."""
        above = len(self.text) - len(self.text.lstrip("\n"))
        reader = csv.reader(StringIO(self.text[above:]), delimiter=self.delimiter, strict=True)
        line = above + 1
        try:
            for record in reader:
                yield line, record
                line = above + reader.line_num + 1
        except csv.Error as flaw:
            raise GiveUp(f"The row in line {line} cannot be read: {flaw}. Look at its quotes.") from flaw

    def _refuse_damage(self, error: Exception) -> NoReturn:
        """Say in which line the text stops being the table that its header announces."""
        width = len(self._header())
        for line, record in self._records():
            if len(record) > width:
                raise GiveUp(f"Line {line} has {len(record)} cells, the header has {width}.") from error
        raise GiveUp(
            "The CSV cannot be read: put cells that hold quotes into quotes, and double those inside."
        )


def quoted(text: str | None) -> str:
    """Quote a client's cell, shortened, for a sentence."""
    return repr(text if text is None or len(text) <= 40 else f"{text[:39]}…")


def _header_words(header: list[str], name: str, delimiter: str) -> str:
    found = ", ".join(header)
    if name in header:
        return f"The header names '{name}' {header.count(name)} times: {quoted(found)}."
    for other, words in DELIMITERS.items():
        if other != delimiter and set(NAMES) <= {cell.strip() for cell in found.split(other)}:
            return f"The cells seem to be separated by {words}: say so in 'delimiter'."
    if set(NAMES).isdisjoint(header):
        return f"The first line has to name the columns {', '.join(NAMES)}; it says {quoted(found)}."
    return f"The header lacks '{name}'; it says {quoted(found)}."
