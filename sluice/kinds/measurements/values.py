"""Read numbers as databases, spreadsheets and loggers write them; nothing is guessed."""

from __future__ import annotations

import polars as pl

LARGEST = 1e100
"""Squares of larger values, and their sums, leave the range of a double."""

TAKEN = "write them like -12.5 or 3e-4"
MISSING = [
    "nan", "+nan", "-nan", "na", "n/a", "<na>", "#n/a", "#na", "#n/a n/a", "null", "(null)", "<null>", "none", "nil", "-", "--", "?",
    "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "nan(ind)", "-nan(ind)",
]  # fmt: skip
"""Words for a missing value, besides the empty cell; those of pandas are among them."""

_SPACED = r"^[-+]?[0-9]{1,3}(?:[\s'\u{2019}][0-9]{3})+(?:[.,][0-9]+)?$"
_SPACES = r"[\s'\u{2019}]"
_COMMAS = r"^[-+]?[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]+|(?:,[0-9]{3}){2,})$"
_POINTS = r"^[-+]?[0-9]{1,3}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,})$"
_DECIMAL_COMMA = r"^[-+]?[0-9]*,[0-9]+(?:[eE][-+]?[0-9]+)?$"


def parse(cells: pl.DataFrame, delimiter: str) -> pl.DataFrame:
    """Add to the column `value` what it says: `given`, the text of the cell if that is a value, `number` and `mark`.

    The mark is that of decimals, `.` or `,`, where a cell has one or marks thousands with the other. Thousands marks go where
    groups of three leave no doubt.
    A comma alone marks decimals only where `;` separates cells.
    """
    value, given = pl.col("value"), pl.col("given")
    valued = cells.with_columns(
        given=pl.when(value.str.to_lowercase().is_in(MISSING).not_()).then(value)
    ).with_columns(number=given.cast(pl.Float64, strict=False), mark=pl.lit(None, pl.String))
    if valued["number"].null_count() == valued["given"].null_count():
        return valued
    text = given.str.replace("\u2212", "-", literal=True)  # the minus sign
    text = pl.when(text.str.contains(_SPACED)).then(text.str.replace_all(_SPACES, "")).otherwise(text)
    forms = valued.with_columns(text=text).with_columns(
        commas=pl.col("text").str.contains(_COMMAS),
        points=pl.col("text").str.contains(_POINTS),
        comma=pl.col("text").str.contains(_DECIMAL_COMMA) & (delimiter == ";"),
    )
    return forms.with_columns(number=_plain().cast(pl.Float64, strict=False).fill_nan(None), mark=_mark())


def _plain() -> pl.Expr:
    """Write a number with a decimal point and without thousands marks."""
    text = pl.col("text")
    return (
        pl.when("commas")
        .then(text.str.replace_all(",", "", literal=True))
        .when("points")
        .then(text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .when("comma")
        .then(text.str.replace(",", ".", literal=True))
        .otherwise(text)
    )


def _mark() -> pl.Expr:
    point = pl.col("text").str.contains(".", literal=True)
    decimal_comma = pl.col("points") | pl.col("comma")
    decimal_point = pl.col("commas") | (point & ~pl.col("points"))
    return pl.when(decimal_comma).then(pl.lit(",")).when(decimal_point).then(pl.lit("."))


def advise(cell: str) -> str:
    """Say what may be meant by a value that is no number."""
    return "A comma marks decimals only where ';' separates the cells" if "," in cell else ""
