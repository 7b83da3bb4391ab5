"""Read times as databases, spreadsheets and loggers write them; nothing is guessed."""

from __future__ import annotations

import re

import polars as pl

TAKEN = "write them like 2024-05-01, 2024-05-01T13:45:00, 2024-05-01T13:45:00+02:00 or, in epoch seconds, 1714563900"

_PARTS = (
    r"^(?<year>[0-9]{4})[-/.](?<month>[0-9]{1,2})[-/.](?<day>[0-9]{1,2})"
    r"(?:[Tt\s]\s*(?<hour>[0-9]{1,2})"
    r"(?::?(?<minute>[0-9]{2})(?::?(?<second>[0-9]{2})(?:[.,](?<fraction>[0-9]+))?)?)?"
    r"\s*(?:(?<utc>[Zz]|UTC|GMT)"
    r"|(?<sign>[-+\u{2212}])(?<hours>[0-9]{2})(?::?(?<minutes>[0-9]{2})(?::?(?<seconds>[0-9]{2}))?)?)?"
    r"(?:\[[\w/+-]+\])?)?\s*$"
)
"""ISO 8601, PostgreSQL and MySQL: the date, the time, and how far its zone is ahead of UTC. Not \\d: it takes all scripts."""

_COMPACT = r"^([0-9]{4})([0-9]{2})([0-9]{2})[Tt\s]*"
_EPOCH = r"^(?<count>[0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:[.,](?<rest>[0-9]+))?$"
_EITHER = r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])(?:[0-5][0-9][0-5][0-9]{3})?$"
"""Digits that may be a date with hours, or an epoch time from 2030 on."""
_MICROSECONDS = {10: 1_000_000.0, 13: 1000.0, 16: 1.0, 19: 0.001}
"""Digits of an epoch time between 2001 and 2286, and its unit."""

_ADVICE = {
    _EITHER: "Is it a date with hours, or an epoch time? Put a T before the hours",
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*": "Which number is the day is not clear",
    r"\d{1,5}([.,]\d+)?": "Is it a serial number of a spreadsheet? Format the cells as yyyy-mm-dd hh:mm:ss",
    r"[-+]?inf(inity)?": "Leave rows without an end of time out",
    r".*\d\s*[ap]\.?m\.?": "Hours count from 0 to 23",
    r".*\d\s*[a-z]{3,4}": "Abbreviations of zones mean several: write how far they are ahead of UTC",
}


def parse(cells: pl.DataFrame) -> pl.DataFrame:
    """Add to the column `time` what it says: `at`, in UTC if it has a zone (null: unreadable), and `zoned`."""
    time = pl.when(pl.col("time").str.contains(_EITHER).not_()).then("time")
    parts = cells.select(
        parts=time.str.replace(_COMPACT, "$1-$2-$3 ").str.extract_groups(_PARTS),
        epoch=time.str.extract_groups(_EPOCH),
    ).unnest("parts", "epoch")
    at = parts.select(
        at=pl.when(pl.col("count").is_not_null()).then(_since_epoch()).otherwise(_moment()),
        zoned=pl.any_horizontal(pl.col("utc", "sign", "count").is_not_null()),
    )
    return cells.hstack(at)


def advise(cell: str) -> str:
    """Say what may be meant by a time that cannot be read."""
    found = (words for form, words in _ADVICE.items() if re.fullmatch(form, cell.strip(), re.IGNORECASE))
    return next(found, "")


def _since_epoch() -> pl.Expr:
    count, whole = pl.col("count"), pl.col("count").cast(pl.Int64, strict=False)
    unit = count.str.len_chars().replace_strict(_MICROSECONDS, default=None, return_dtype=pl.Float64)
    micros = pl.when(unit < 1).then(whole // 1000).otherwise(whole * unit.cast(pl.Int64))
    part = pl.concat_str(pl.lit("0."), pl.col("rest").fill_null("0")).cast(pl.Float64) * unit
    return (micros + part.round().cast(pl.Int64)).cast(pl.Datetime("us"))


def _moment() -> pl.Expr:
    """Put the parts together; null where one is out of its range, so that the time counts as unreadable."""
    date = pl.concat_str("year", "month", "day", separator="-")
    hour, minute, second, hours, minutes, seconds = (
        pl.col(name).cast(pl.Int64).fill_null(0)
        for name in ("hour", "minute", "second", "hours", "minutes", "seconds")
    )
    micros = pl.col("fraction").fill_null("0").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64)
    clock = pl.duration(hours=hour, minutes=minute, seconds=second, microseconds=micros)
    ahead = pl.duration(hours=hours, minutes=minutes, seconds=seconds)
    offset = pl.when(pl.col("sign") == "+").then(ahead).otherwise(-ahead)
    real = (minute < 60) & (second <= 60) & (hours <= 14) & (minutes < 60) & (seconds < 60)
    ends = (hour == 24) & (minute == 0) & (second == 0) & (micros == 0)
    days = date.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.when(real & ((hour < 24) | ends)).then(days + clock - offset)
