"""A CSV as text: its header, its cells, and the line in which a row begins.

Python reads the cells: polars takes a quote within a cell (5" pipe) for the beginning of a quoted one and merges rows, and
does not say where a row began.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from operator import itemgetter

import polars as pl

from sluice import GiveUp

NAMES = ("asset", "signal", "time", "value")
DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
MAX_ROWS = 500_000
MAX_COLUMNS = 100
LINES_PER_ROW = 3
"""Even empty lines take memory."""
ROWS_AT_ONCE = 20_000
"""Rows to hold as objects of Python, which take ten times the memory of a column."""

ROW = "row"
"""Name of the column that counts the rows below the header, from 0."""

NULL = r"\N"
"""How PostgreSQL and MySQL write an empty cell."""

_DECODED_WRONGLY = re.compile("\0|\\A(?:\u00ef\u00bb\u00bf|\u00ff\u00fe|\u00fe\u00ff|\ufffe|\ufffd)")
"""NULs, or a byte order mark that was taken for text."""
_END_OF_FILE, _PADDING = "\x1a", 128
"""Ctrl-Z, which programs of DOS write behind the last line, and how many characters they fill up with it."""
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[^\n]*(?:\n|\Z)', re.IGNORECASE)
"""The line that tells Excel what separates the cells."""
_LINE = re.compile(r"[^\n]*")
_ABOVE = re.compile(r"(?:[ \t,;|]*(?:#[^\n]*)?\n)*")
"""What may stand above the header: lines without a word, and comments."""


@dataclass(frozen=True)
class Sheet:
    """The text from its header on, with `\\n` at the ends of its lines, and the number of lines above."""

    text: str
    delimiter: str
    above: int
    most_rows: int = MAX_ROWS

    @classmethod
    def of(cls, text: str, delimiter: str, most_rows: int = MAX_ROWS) -> Sheet:
        """Take a client's text. Raises GiveUp if it is empty, was decoded wrongly or has very many lines."""
        plain = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if _END_OF_FILE in plain[-_PADDING:]:
            plain = plain.rstrip(f"{_END_OF_FILE}\n ")
        damage = _DECODED_WRONGLY.search(plain)
        if damage:
            line = plain.count("\n", 0, damage.start()) + 1
            raise GiveUp(
                f"Line {line} holds bytes that are no text: read the file as what it is, UTF-16 for example, and send the text."
            )
        if plain.count("\n") > LINES_PER_ROW * most_rows:
            raise GiveUp(f"The CSV has more than {LINES_PER_ROW * most_rows:,} lines: send it in parts.")
        begin, delimiter = _find_header(plain, delimiter)
        # Spreadsheets put separators behind the last cell; a look behind keeps the search linear.
        separator = re.escape(delimiter)
        rest = re.sub(f"(?<!{separator}){separator}+$", "", plain[begin:], flags=re.MULTILINE)
        if not rest.strip():
            raise GiveUp("The CSV is empty: send a header and at least one row.")
        return cls(rest, delimiter, plain.count("\n", 0, begin), most_rows)

    def cells(self) -> pl.DataFrame:
        """Return the four columns as stripped text, empty cells as null, and the number of each row.

        Blank lines and comments are left out. Raises GiveUp for a header that does not name the columns, for rows that
        cannot be read, and for too many.
        """
        frame = self._frame()
        cells = frame.select(
            **{name: pl.col(str(place)).str.strip_chars() for name, place in self.places().items()},
            first=pl.col("0").str.strip_chars_start(),
        ).with_columns(pl.col(*NAMES).replace(["", NULL], None))
        given = pl.sum_horizontal(pl.col(*NAMES).is_not_null())
        comment = pl.col("first").str.starts_with("#").fill_null(value=False) & (given <= 2)
        cells = cells.with_row_index(ROW).filter(given > 0, ~comment).drop("first")
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

    def places(self) -> dict[str, int]:
        """Return which column, counted from 0, holds what. Raises GiveUp if the header does not say so."""
        _, cells = next(self._records())
        if len(cells) > MAX_COLUMNS:
            raise GiveUp(f"The CSV has {len(cells):,} columns, at most {MAX_COLUMNS} are read.")
        header = _named(cells)
        for name in NAMES:
            if header.count(name) != 1:
                raise GiveUp(_header_words(header, name, self.delimiter, self.above + 1))
        return {name: header.index(name) for name in NAMES}

    def _frame(self) -> pl.DataFrame:
        """Read the rows below the header; only the columns that are needed. Raises GiveUp for a row of too many cells."""
        places, records = self.places(), self._records()
        _, header = next(records)
        columns, blank = sorted({0, *places.values()}), [""] * len(header)
        schema, pick = {str(column): pl.String for column in columns}, itemgetter(*columns)
        parts = [pl.DataFrame(schema=schema)]
        while rows := [
            pick(self._fill(line, record, blank)) for line, record in islice(records, ROWS_AT_ONCE)
        ]:
            parts.append(pl.DataFrame(dict(zip(schema, zip(*rows, strict=True), strict=True)), schema))
        return pl.concat(parts)

    def _fill(self, line: int, record: list[str], blank: list[str]) -> list[str]:
        """Return a row with as many cells as a blank one."""
        if len(record) > len(blank):
            raise GiveUp(
                f"Line {line} has {len(record)} cells, the header has {len(blank)}: put cells that hold "
                f"{DELIMITERS[self.delimiter]} into quotes."
            )
        return record + blank[len(record) :] if record else blank

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every record, the header first, with the line it begins in."""
        reader = csv.reader(StringIO(self.text), delimiter=self.delimiter, strict=True, skipinitialspace=True)
        line = self.above + 1
        try:
            for record in reader:
                yield line, record
                line = self.above + reader.line_num + 1
        except csv.Error as flaw:
            raise GiveUp(
                f"The row in line {line} cannot be read: {flaw}. Double the quotes inside a quoted cell, and close it."
            ) from flaw


def quoted(text: str | None) -> str:
    """Quote a client's cell, shortened, for a sentence."""
    return repr(text if text is None or len(text) <= 40 else f"{text[:39]}…")


def _find_header(text: str, delimiter: str) -> tuple[int, str]:
    """Return where the header begins, below empty lines and comments, and what separates the cells."""
    begin = 0
    told = _SEPARATOR.match(text)
    if told:
        begin, delimiter = told.end(), told[1]
    if delimiter not in DELIMITERS:
        raise GiveUp(
            f"Line 1 says that {delimiter!r} separates the cells: {', '.join(DELIMITERS.values())} can."
        )
    above = _ABOVE.match(text, begin)
    end = above.end() if above else begin
    comments = re.compile("^#[^\n]*", re.MULTILINE).finditer(text, begin, end)
    lines = (line for line in (_LINE.match(text, end), *comments) if line)
    named = (line.start() for line in lines if set(NAMES) <= set(_named(line[0].split(delimiter))))
    return next(named, end), delimiter


def _named(cells: list[str]) -> list[str]:
    """Return the names that a header gives; it may look like a comment."""
    return [cell.strip().lstrip("#").strip().strip('"').strip().lower() for cell in cells]


def _header_words(header: list[str], name: str, delimiter: str, line: int) -> str:
    found = ", ".join(header)
    if name in header:
        return f"The header in line {line} names '{name}' {header.count(name)} times: {quoted(found)}."
    for other, words in DELIMITERS.items():
        if other != delimiter and set(NAMES) <= {cell.strip() for cell in found.split(other)}:
            return f"The cells seem to be separated by {words}: say so in 'delimiter'."
    if set(NAMES).isdisjoint(header):
        return f"Line {line} has to name the columns {', '.join(NAMES)}; it says {quoted(found)}."
    return f"The header in line {line} lacks '{name}'; it says {quoted(found)}."
