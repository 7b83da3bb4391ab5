"""Draw one picture of all series: a panel per signal, a colour per asset, gaps left open, outliers as dots.

Uses no pyplot, which keeps every figure in a global table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image, ImageColor

from sluice.kinds.measurements.reading import SERIES

MOST_SIGNALS = MOST_ASSETS = 6
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00")
"""Distinguishable with colour blindness, too (after Okabe and Ito)."""
GREY = "#333333"

INCHES, PANEL_INCHES, REST_INCHES = 9.0, 1.75, 0.8
DPI = 100
BUCKETS = 200
SHADES = (1.0, 0.8, 0.6, 0.4, 0.25, 0.12)
"""Shades of every colour on white: a picture of few colours is a third of the size."""

LONGEST_LABEL = 28


class Picture(NamedTuple):
    """A PNG, its size in pixels, and how many series it shows."""

    png: bytes
    width: int
    height: int
    series: int


def draw(marked: pl.DataFrame, *, zoned: bool, report: Callable[[float, str], None]) -> Picture:
    """Draw the signals and the assets with the most readings; `report` is called with the share that is done."""
    signals = _most_frequent(marked, "signal", MOST_SIGNALS)
    assets = _most_frequent(marked, "asset", MOST_ASSETS)
    shown = marked.filter(pl.col("signal").is_in(signals) & pl.col("asset").is_in(assets))
    figure = Figure((INCHES, PANEL_INCHES * len(signals) + REST_INCHES), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(signals), 1, sharex=True, squeeze=False)[:, 0]
    for number, (panel, signal) in enumerate(zip(panels, signals, strict=True)):
        report(number / len(signals), f"drawing {signal}")
        _draw_panel(panel, shown.filter(pl.col("signal") == signal), assets)
        _label(panel.set_ylabel(""), signal)
    _draw_times(panels[-1], shown, zoned=zoned)
    _draw_legend(figure, assets)
    image = _render(figure).quantize(palette=_palette(len(assets)), dither=Image.Dither.NONE)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return Picture(file.getvalue(), *image.size, shown.select(pl.struct(SERIES).n_unique()).item())


def _most_frequent(marked: pl.DataFrame, name: str, most: int) -> list[str]:
    counted = marked.group_by(name).len().sort(["len", name], descending=[True, False]).head(most)
    return sorted(counted[name].to_list())


def _draw_panel(panel: Axes, readings: pl.DataFrame, assets: list[str]) -> None:
    panel.grid(color="#e4e4e4", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8, colors=GREY)
    panel.margins(y=0.08)
    for asset, colour in zip(assets, COLOURS, strict=False):
        own = readings.filter(pl.col("asset") == asset)
        if own.height:
            _draw_series(panel, own, colour)


def _draw_series(panel: Axes, own: pl.DataFrame, colour: str) -> None:
    line = _add_breaks(_thin_out(own))
    if own.height > 2 * BUCKETS:
        panel.fill_between(line["time"], line["least"], line["most"], color=colour, alpha=0.25, linewidth=0)
    panel.plot(line["time"], line["mean"], color=colour, linewidth=1.1)
    alone = line.filter(pl.len().over("stretch") == 2)
    outliers = own.filter("outlier")
    panel.scatter(alone["time"], alone["mean"], s=7, color=colour, linewidths=0)
    panel.scatter(outliers["time"], outliers["value"], s=7, color=colour, linewidths=0.5, edgecolors="white")


def _thin_out(own: pl.DataFrame) -> pl.DataFrame:
    """Keep one point per reading or, if there are many, per short span of time: no pixel shows more."""
    spans = pl.lit(0) if own.height <= 2 * BUCKETS else _span()
    order = pl.int_range(pl.len()) if own.height <= 2 * BUCKETS else pl.lit(0)
    value = pl.col("value")
    return (
        own.with_columns(stretch=pl.col("gap").cum_sum(), span=spans, order=order)
        .group_by("stretch", "span", "order", maintain_order=True)
        .agg(time=pl.col("time").mean(), mean=value.mean(), least=value.min(), most=value.max())
    )


def _span() -> pl.Expr:
    since = (pl.col("time") - pl.col("time").min()).dt.total_microseconds()
    return (since * BUCKETS // (since.max() + 1)).cast(pl.Int64)


def _add_breaks(points: pl.DataFrame) -> pl.DataFrame:
    """Add a point without a value after every stretch, so that the line is interrupted there."""
    ends = points.group_by("stretch", maintain_order=True).agg(time=pl.col("time").last())
    return pl.concat([points, ends], how="diagonal").sort(["stretch", "time"], maintain_order=True)


def _draw_times(panel: Axes, shown: pl.DataFrame, *, zoned: bool) -> None:
    locator = AutoDateLocator(minticks=4, maxticks=9)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    panel.xaxis.get_offset_text().set_fontsize(8)
    panel.set_xlabel("time (UTC)" if zoned else "time", fontsize=9)
    first, last = shown.select(first=pl.col("time").min(), last=pl.col("time").max()).row(0)
    pad = (last - first) * 0.01 or pl.select(pl.duration(hours=1)).item()
    panel.set_xlim(first - pad, last + pad)


def _draw_legend(figure: Figure, assets: list[str]) -> None:
    handles = [Line2D([], [], color=colour, linewidth=2.5) for colour in COLOURS[: len(assets)]]
    handles.append(Line2D([], [], color=GREY, marker="o", markersize=3, linewidth=0))
    names = [*assets, "outlier"]
    legend = figure.legend(
        handles,
        ["-"] * len(names),
        loc="outside upper left",
        ncols=min(4, len(names)),
        frameon=False,
        fontsize=9,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        _label(text, name)


def _label(text: Text, words: str) -> None:
    """Set a client's text, in which dollar signs are no formula."""
    text.set_parse_math(False)
    text.set_fontsize(9)
    text.set_text(words if len(words) <= LONGEST_LABEL else f"{words[: LONGEST_LABEL - 1]}…")


def _render(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font lacks, and ticks too close together
        canvas.draw()
    size = canvas.get_width_height()
    return Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")


def _palette(colours: int) -> Image.Image:
    """Make a palette of white, black, and shades of the text's grey and of the assets' colours."""
    table = [255, 255, 255, 0, 0, 0]
    for colour in (GREY, *COLOURS[:colours]):
        pure = ImageColor.getrgb(colour)
        table += [round(255 + (part - 255) * shade) for shade in SHADES for part in pure]
    palette = Image.new("P", (1, 1))
    palette.putpalette(table)
    return palette
