"""`measurements.summary`: sum up a CSV of sensor readings. A real example: table work, pure, with progress and a picture."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sluice import Context, handler

if TYPE_CHECKING:
    from sluice.kinds.measurements.drawing import Picture

MAX_INPUT = 8 * 1024 * 1024

EXAMPLE = "asset,signal,time,value\npump-1,bar,2024-05-01T10:00Z,2.1\npump-1,bar,2024-05-01T10:10Z,2.4\n"

Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class Measurements(BaseModel):
    """Readings of any number of assets and signals, in any order, one per line.

    Times are ISO 8601 in any form (a date, hours to microseconds, `Z`, `+02`, `+02:00`), as PostgreSQL and MySQL write them, or
    epoch seconds, milli- or microseconds. Values are decimal numbers; thousands marks are taken where groups of three leave no
    doubt. Missing values are empty, `\\N`, or a word like NaN, NA and NULL. Blank lines, comments (`#`), separators behind the
    last cell, blanks before a quoted one and Ctrl-Z at the end do not count; a quote within a cell is one. What could mean two
    things (1/5/2024, `1,234`) is refused.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"examples": [{"csv": EXAMPLE, "gap": 5.0}]}
    )

    csv: str = Field(
        max_length=MAX_INPUT,
        description="A header and rows: asset, signal, time and value, in any order; other columns are ignored",
    )
    delimiter: Literal[",", ";", "\t", "|"] = Field(
        default=",",
        description="What separates the cells, unless a first line like `sep=;` says so; with `;`, a comma may mark decimals",
    )
    fence: float = Field(
        default=1.5,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="How many interquartile ranges beyond the quartiles a value becomes an outlier",
    )
    gap: float = Field(
        default=3.0,
        ge=1,
        le=1_000_000,
        allow_inf_nan=False,
        description="How many median intervals without a reading are a gap",
    )


class Quantiles(BaseModel):
    """Between two readings they are interpolated linearly (type 7 of Hyndman and Fan, the usual one of numpy and R)."""

    p05: float
    p25: float
    p50: float = Field(description="The median")
    p75: float
    p95: float


class Gaps(BaseModel):
    """Steps between successive values that are longer than `gap` times their median."""

    count: int
    longest_s: float | None = Field(description="Seconds of the longest")
    after: datetime | None = Field(description="The last reading before the longest")


class Outliers(BaseModel):
    """Values outside Tukey's fences (Exploratory Data Analysis, 1977): `fence` interquartile ranges beyond the quartiles.

    Where half of the values are equal, the fences fall together and all others lie outside.
    """

    count: int
    below: float = Field(description="The lower fence: smaller values are outliers")
    above: float = Field(description="The upper fence: larger values are outliers")


class Trend(BaseModel):
    """The straight line of least squares through all values. Outliers pull at it."""

    per_day: float = Field(description="Its slope: units of the signal per day of 86,400 s")
    r_squared: float | None = Field(
        description="Share of the variance it explains; null where all values are equal"
    )


class Series(BaseModel):
    """One signal of one asset. Everything but `missing` and `repeated` is said of the readings that have a value."""

    asset: str
    signal: str
    count: int = Field(description="Readings with a value")
    missing: int = Field(description="Rows whose value is empty, NaN, NA or null")
    repeated: int = Field(description="Rows that say again what another one said; counted once")
    first: datetime
    last: datetime
    interval_s: float | None = Field(
        description="Median seconds from reading to reading; null for one reading"
    )
    min: float
    max: float
    mean: float
    deviation: float | None = Field(
        description="Standard deviation of a sample (divisor n - 1); null for one reading"
    )
    quantiles: Quantiles
    gaps: Gaps
    outliers: Outliers
    trend: Trend | None = Field(description="Null for one reading")


class Silent(BaseModel):
    """A series without a single value."""

    asset: str
    signal: str
    missing: int


class Plot(BaseModel):
    """A panel per signal, a colour per asset; at most six of each, those with the most readings.

    The line is interrupted at gaps. Of many readings it shows the means of short spans, and a band their ranges.
    """

    image: Base64 = Field(description="A PNG in base64")
    width: int = Field(description="Width in pixels")
    height: int = Field(description="Height in pixels")
    series: int = Field(description="How many series it shows")


class Summary(BaseModel):
    """What the readings say."""

    rows: int = Field(description="Rows that were read")
    series: list[Series] = Field(description="By asset and signal")
    silent: list[Silent] = Field(description="Series that have rows and no value")
    plot: Plot


@handler(
    "measurements.summary", runs_in="process", timeout_s=120, cache_s=3600, max_input=MAX_INPUT, version=2
)
def summarize(given: Measurements, context: Context) -> Summary:
    """Sum up readings per asset and signal: range, quantiles, gaps, outliers, trend, and a plot.

    Times with a zone are reckoned, answered and drawn in UTC; times without one stay as they are. Rows may come in any
    order; a row that repeats a time of its series must repeat its value.
    """
    context.progress(0, "loading the tools")
    from sluice.kinds.measurements import drawing, reading, statistics
    from sluice.kinds.measurements.sheet import Sheet

    context.progress(10, f"reading {len(given.csv):,} characters")
    readings, zoned = reading.read(Sheet.of(given.csv, given.delimiter))
    context.progress(40, f"summing up {readings.height:,} rows")
    marked = statistics.mark(readings, given.fence, given.gap)
    omissions = statistics.omissions(readings)
    rows = [
        row | omissions[row["asset"], row["signal"]]
        for row in statistics.summarize_series(marked, zoned=zoned)
    ]
    picture = drawing.draw(
        marked, zoned=zoned, report=lambda share, note: context.progress(50 + 50 * share, note)
    )
    return Summary(
        rows=readings.height,
        series=[Series.model_validate(row) for row in rows],
        silent=[Silent.model_validate(row) for row in omissions.values() if not row["values"]],
        plot=_plot(picture),
    )


def _plot(picture: Picture) -> Plot:
    return Plot(
        image=b64encode(picture.png).decode(),
        width=picture.width,
        height=picture.height,
        series=picture.series,
    )
