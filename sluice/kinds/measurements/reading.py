"""Turn cells into readings (names, times, numbers), or refuse them, saying how many are wrong and where the first is."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from sluice import GiveUp
from sluice.kinds.measurements import times, values
from sluice.kinds.measurements.sheet import ROW, Sheet, quoted

MAX_SERIES = 500
LONGEST_NAME = 100
FIRST_YEAR, LAST_YEAR = 1700, 2299
SERIES = ["asset", "signal"]


def read(sheet: Sheet) -> tuple[pl.DataFrame, bool]:
    """Return the readings, one row each, and whether their times have a zone.

    Columns are row, asset, signal, time (in UTC if zones are given, else as written) and value (null: missing).
    Raises GiveUp for anything that cannot be what was meant.
    """
    cells = sheet.cells()
    _refuse_names(sheet, cells)
    timed, zoned = _parse_times(sheet, cells)
    readings = _parse_values(sheet, timed).select(ROW, *SERIES, "time", "value")
    _refuse_contradictions(sheet, readings)
    return readings, zoned


def _refuse_names(sheet: Sheet, cells: pl.DataFrame) -> None:
    for name in SERIES:
        column = pl.col(name)
        _refuse(sheet, cells, column.is_null(), "rows have no " + name, name)
        odd = (column.str.len_chars() > LONGEST_NAME) | column.str.contains(r"\p{Cc}")
        limit = (
            f"{name}s are too long or hold control characters: up to {LONGEST_NAME} characters in one line"
        )
        _refuse(sheet, cells, odd, limit, name)
    count = cells.select(pl.struct(SERIES).n_unique()).item()
    if count > MAX_SERIES:
        raise GiveUp(f"The CSV has {count:,} series, at most {MAX_SERIES} are summed up: send it in parts.")


def _parse_times(sheet: Sheet, cells: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    timed = times.parse(cells)
    years = pl.col("at").dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    _refuse(sheet, timed, pl.col("time").is_null(), "rows have no time", "time")
    _refuse(
        sheet, timed, pl.col("at").is_null(), f"times cannot be read: {times.TAKEN}", "time", times.advise
    )
    _refuse(sheet, timed, ~years, f"times are outside the years {FIRST_YEAR} to {LAST_YEAR}", "time")
    zoned = bool(timed["zoned"].any())
    if zoned:
        words = "times have no zone while others have one: give all of them one, or none"
        _refuse(sheet, timed, ~pl.col("zoned"), words, "time")
    return timed.with_columns(time="at"), zoned


def _parse_values(sheet: Sheet, timed: pl.DataFrame) -> pl.DataFrame:
    valued = values.parse(timed, sheet.delimiter)
    wrong = pl.col("given").is_not_null() & pl.col("number").is_null()
    _refuse(sheet, valued, wrong, f"values are no numbers: {values.TAKEN}", "value", values.advise)
    if valued["mark"].n_unique() - bool(valued["mark"].null_count()) > 1:
        words = (
            "values mark decimals with a point, or thousands with a comma, while others do the reverse: write all of them with "
            "decimal points alone"
        )
        _refuse(sheet, valued, pl.col("mark") == ".", words, "value")
    large = pl.col("number").abs() > values.LARGEST
    words = f"values are infinite or beyond {values.LARGEST:g}: leave the cell empty"
    _refuse(sheet, valued, large, words, "value")
    if valued["number"].null_count() == valued.height:
        raise GiveUp(f"None of the {valued.height:,} rows has a value.")
    return valued.with_columns(value="number")


def _refuse_contradictions(sheet: Sheet, readings: pl.DataFrame) -> None:
    """Refuse a time that is given twice with two values: one of them is wrong."""
    given = readings.drop_nulls("value")
    first = pl.col("value").first().over(*SERIES, "time")
    words = "rows give another value for a time that their series has already"
    _refuse(sheet, given, pl.col("value") != first, words, "time")


def _refuse(
    sheet: Sheet,
    frame: pl.DataFrame,
    wrong: pl.Expr,
    words: str,
    column: str,
    advise: Callable[[str], str] = lambda _: "",
) -> None:
    """Raise GiveUp if any row is wrong, with the number of such rows, and where the first is and what it says."""
    found = frame.filter(wrong)
    if found.height == 0:
        return
    place = f"line {sheet.line_of(found[ROW][0])}, column {sheet.places()[column] + 1} ({column})"
    cell = "" if found[column][0] is None else str(found[column][0])
    said, advice = f", {quoted(cell)}" if cell else "", advise(cell[:100])
    more = f" {advice}." if advice else ""
    raise GiveUp(f"{found.height:,} of {frame.height:,} {words}. The first is in {place}{said}.{more}")
