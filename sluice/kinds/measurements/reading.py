"""Turn cells into readings (names, times, numbers), or refuse them, saying how many are wrong and where the first is."""

from __future__ import annotations

import polars as pl

from sluice import GiveUp
from sluice.kinds.measurements.sheet import ROW, Sheet, quoted

MAX_SERIES = 500
LONGEST_NAME = 100
LARGEST = 1e100
"""Squares of larger values, and their sums, leave the range of a double."""

FIRST_YEAR, LAST_YEAR = 1700, 2299
SERIES = ["asset", "signal"]
MISSING = ["nan", "na", "n/a", "null", "none", "-"]
"""Words for a missing value, besides the empty cell."""

TIME = (
    r"^(?<date>\d{4}-\d{2}-\d{2})(?:[Tt ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d{1,9})?)?"
    r" ?(?<zone>[Zz]|[+-]\d{2}:?\d{2})?)?$"
)
LIKE = "write them like 2024-05-01, 2024-05-01T13:45:00 or 2024-05-01T13:45:00+02:00"


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
        _refuse(sheet, cells, column.is_null(), "rows have no " + name)
        odd = (column.str.len_chars() > LONGEST_NAME) | column.str.contains(r"\p{Cc}")
        limit = (
            f"{name}s are too long or hold control characters: up to {LONGEST_NAME} characters in one line"
        )
        _refuse(sheet, cells, odd, limit, name)
    count = cells.select(pl.struct(SERIES).n_unique()).item()
    if count > MAX_SERIES:
        raise GiveUp(f"The CSV has {count:,} series, at most {MAX_SERIES} are summed up: send it in parts.")


def _parse_times(sheet: Sheet, cells: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    parts = cells.with_columns(pl.col("time").str.extract_groups(TIME).struct.unnest())
    local = pl.concat_str(
        "date", pl.lit("T"), pl.col("minute").fill_null("00:00"), pl.col("second").fill_null(":00")
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    timed = parts.with_columns(at=local - _offset())
    years = pl.col("at").dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    _refuse(sheet, timed, pl.col("time").is_null(), "rows have no time")
    _refuse(sheet, timed, pl.col("at").is_null(), f"times cannot be read: {LIKE}", "time")
    _refuse(sheet, timed, ~years, f"times are outside the years {FIRST_YEAR} to {LAST_YEAR}", "time")
    zoned = timed["zone"].is_not_null()
    if zoned.any():
        words = "times have no zone while others have one: give all of them one, or none"
        _refuse(sheet, timed, pl.col("zone").is_null(), words, "time")
    return timed.with_columns(time="at"), bool(zoned.any())


def _offset() -> pl.Expr:
    """Return how far the zone is ahead of UTC; null if further than any zone, so that the time counts as unreadable."""
    digits = pl.col("zone").str.replace_all("[^0-9]", "").replace("", "0000")
    hours, minutes = digits.str.slice(0, 2).cast(pl.Int64), digits.str.slice(2, 2).cast(pl.Int64)
    ahead = pl.duration(hours=hours, minutes=minutes)
    signed = pl.when(pl.col("zone").str.starts_with("-")).then(-ahead).otherwise(ahead)
    real = (hours <= 14) & (minutes < 60)
    return pl.when(pl.col("zone").is_null()).then(pl.duration(hours=0)).when(real).then(signed)


def _parse_values(sheet: Sheet, timed: pl.DataFrame) -> pl.DataFrame:
    given = pl.col("value").str.to_lowercase().is_in(MISSING).not_() & pl.col("value").is_not_null()
    number = pl.col("value").cast(pl.Float64, strict=False)
    valued = timed.with_columns(number=pl.when(given).then(number), given=given)
    wrong = pl.col("given") & pl.col("number").is_null()
    _refuse(sheet, valued, wrong, "values are no numbers: write them like -12.5 or 3e-4", "value")
    large = pl.col("number").abs() > LARGEST
    _refuse(sheet, valued, large, f"values are infinite or beyond {LARGEST:g}: leave the cell empty", "value")
    if valued["number"].null_count() == valued.height:
        raise GiveUp(f"None of the {valued.height:,} rows has a value.")
    return valued.with_columns(value="number")


def _refuse_contradictions(sheet: Sheet, readings: pl.DataFrame) -> None:
    """Refuse a time that is given twice with two values: one of them is wrong."""
    values = readings.drop_nulls("value")
    first = pl.col("value").first().over(*SERIES, "time")
    words = "rows give another value for a time that their series has already"
    _refuse(sheet, values, pl.col("value") != first, words, "time")


def _refuse(sheet: Sheet, frame: pl.DataFrame, wrong: pl.Expr, words: str, column: str = "") -> None:
    """Raise GiveUp if any row is wrong, with the number of such rows, and the line and the cell of the first."""
    found = frame.filter(wrong)
    if found.height == 0:
        return
    line = sheet.line_of(found[ROW][0])
    cell = f", {quoted(str(found[column][0]))}" if column else ""
    raise GiveUp(f"{found.height:,} of {frame.height:,} {words}. The first is in line {line}{cell}.")
