"""Compute the summary of each series with polars expressions; `sluice.kinds.measurements_summary` defines the terms."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import polars as pl

from sluice.kinds.measurements.reading import SERIES

DAY_S = 86_400.0
QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
VALUE, TIME = pl.col("value"), pl.col("time")

Row = dict[str, Any]


def mark(readings: pl.DataFrame, fence: float, gap: float) -> pl.DataFrame:
    """Return the readings that have a value, sorted, each time once, with what the picture shows of them.

    Adds step_s (seconds since the previous reading), interval_s (their median), gap (whether this step is one), low and
    high (the fences) and outlier.
    """
    values = readings.drop_nulls("value").unique([*SERIES, "time"], keep="first").sort(*SERIES, "time")
    low, high = _quantile(0.25), _quantile(0.75)
    reach = fence * (high - low)
    stepped = values.with_columns(
        step_s=((TIME - TIME.shift()).dt.total_microseconds() / 1e6).over(SERIES),
        low=(low - reach).over(SERIES),
        high=(high + reach).over(SERIES),
    )
    return stepped.with_columns(interval_s=pl.col("step_s").median().over(SERIES)).with_columns(
        gap=(pl.col("step_s") > gap * pl.col("interval_s")).fill_null(value=False),
        outlier=VALUE.is_between("low", "high").not_(),
    )


def summarize_series(marked: pl.DataFrame, *, zoned: bool) -> list[Row]:
    """Return what the handler's model of a series holds, except missing values and repeated readings."""
    grouped = marked.group_by(SERIES, maintain_order=True)
    table = grouped.agg(
        **_plain(), **_gaps(), **{name: _quantile(share) for name, share in QUANTILES.items()}, **_line()
    )
    return [_row(_in_utc(row) if zoned else row) for row in table.to_dicts()]


def omissions(readings: pl.DataFrame) -> dict[tuple[str, str], Row]:
    """Return per series the rows without a value, and how many repeat another row."""
    times = TIME.filter(VALUE.is_not_null())
    counted = readings.group_by(SERIES, maintain_order=True).agg(
        missing=VALUE.null_count(), repeated=times.len() - times.n_unique(), values=VALUE.count()
    )
    return {(row["asset"], row["signal"]): row for row in counted.sort(SERIES).to_dicts()}


def _quantile(share: float) -> pl.Expr:
    return VALUE.quantile(share, "linear")


def _plain() -> dict[str, pl.Expr]:
    return {
        "count": VALUE.len(),
        "first": TIME.first(),
        "last": TIME.last(),
        "interval_s": pl.col("interval_s").first(),
        "min": VALUE.min(),
        "max": VALUE.max(),
        "mean": VALUE.mean(),
        "deviation": VALUE.std(),
        "outliers": pl.col("outlier").sum(),
        "low": pl.col("low").first(),
        "high": pl.col("high").first(),
    }


def _gaps() -> dict[str, pl.Expr]:
    lengths = pl.col("step_s").filter(pl.col("gap"))
    starts = TIME.shift().filter(pl.col("gap"))
    return {"gaps": lengths.len(), "longest_s": lengths.max(), "after": starts.get(lengths.arg_max())}


def _line() -> dict[str, pl.Expr]:
    """Return sums for the line of least squares, about the means, in days."""
    days = (TIME - TIME.first()).dt.total_microseconds() / 1e6 / DAY_S
    ahead, above = days - days.mean(), VALUE - VALUE.mean()
    return {"tt": (ahead * ahead).sum(), "tv": (ahead * above).sum(), "vv": (above * above).sum()}


def _in_utc(row: Row) -> Row:
    moments = {name: row[name].replace(tzinfo=UTC) for name in ("first", "last", "after") if row[name]}
    return row | moments


def _row(row: Row) -> Row:
    quantiles = {name: row.pop(name) for name in QUANTILES}
    gaps = {"count": row.pop("gaps"), "longest_s": row.pop("longest_s"), "after": row.pop("after")}
    outliers = {"count": row.pop("outliers"), "below": row.pop("low"), "above": row.pop("high")}
    trend = _trend(row.pop("tt"), row.pop("tv"), row.pop("vv"), level=row["min"] == row["max"])
    return row | {"quantiles": quantiles, "gaps": gaps, "outliers": outliers, "trend": trend}


def _trend(tt: float, tv: float, vv: float, *, level: bool) -> Row | None:
    if tt == 0:
        return None
    if level or vv == 0:  # the sums of a constant series hold only rounding errors
        return {"per_day": 0.0, "r_squared": None}
    return {"per_day": tv / tt, "r_squared": min(1.0, (tv / tt) * (tv / vv))}
