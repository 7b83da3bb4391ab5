"""Three years of real weather as readings, and their summary as a table in a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

_FILE = Path(__file__).parent / "sample_data" / "weather.csv"
_CITIES, _SIGNALS = 2, 3
_YEAR = 366


def readings(seed: int) -> str:
    """The CSV from some day of the first year on; another seed, another day."""
    header, *rows = _FILE.read_text().splitlines(keepends=True)
    share, first = len(rows) // _CITIES, seed % _YEAR * _SIGNALS
    kept = [row for city in range(_CITIES) for row in rows[city * share + first : (city + 1) * share]]
    return header + "".join(kept)


def table(output: Mapping[str, Any]) -> Table:
    """A row per city and signal, for 80 columns."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  asset", no_wrap=True)
    table.add_column("signal", no_wrap=True)
    for name in ("days", "gaps", "outliers", "least", "mean", "most", "per year"):
        table.add_column(name, justify="right", no_wrap=True)
    for series in output["series"]:
        table.add_row(*_cells(series))
    return table


def _cells(series: Mapping[str, Any]) -> list[str]:
    counts = (series["count"], series["gaps"]["count"], series["outliers"]["count"])
    values = (series["min"], series["mean"], series["max"])
    trend = series["trend"]["per_day"] * 365.25
    numbers = [*map(str, counts), *(f"{value:.1f}" for value in values), f"{trend:+.2f}"]
    return [f"  {series['asset']}", series["signal"], *numbers]
