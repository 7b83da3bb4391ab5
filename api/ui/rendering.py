"""Render templates: everything is escaped, and what a template names but was not given is an error."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"

UNKNOWN = "\N{EN DASH}"

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


@cache
def environment() -> Environment:
    """Make the environment of all templates, once."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "seconds": show_seconds,
        "when": show_time,
        "utc": show_utc,
        "size": show_size,
        "figure": show_figure,
        "unwrapped": unwrap,
    }
    return made


def render(template: str, context: dict[str, Any]) -> bytes:
    """Render a template."""
    return environment().get_template(template).render(context).encode()


def show_seconds(seconds: float | None) -> str:
    """Write how long something takes, never less than nothing: clocks differ."""
    if seconds is None:
        return UNKNOWN
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    size, unit = next(each for each in _UNITS if seconds >= each[0])
    rest = int(seconds % size)
    count, name = {"d": (rest // 3_600, "h"), "h": (rest // 60, "min"), "min": (rest, "s")}[unit]
    return f"{int(seconds // size)} {unit}" + (f" {count} {name}" if count and seconds < 10 * size else "")


def show_time(at: datetime | str | None, now: datetime | None = None) -> Markup:
    """Write a time as how long ago it was, or in how long it will be, with the time itself beneath the pointer."""
    if at is None:
        return escape(UNKNOWN)
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    passed = ((now or datetime.now(UTC)) - at).total_seconds()
    told = _ago(passed)
    text = Markup('<time datetime="{}" title="{} UTC">{}</time>')
    return text.format(at.isoformat(), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", told)


def unwrap(text: str) -> str:
    """Join the lines of each paragraph, which were broken for the width of a source file; those of lists and what is indented stay."""
    return re.sub(r"(?<=\S)\n(?=[^\s*+-])", " ", text)


def show_utc(at: datetime) -> str:
    """Write a time in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def show_size(size: int) -> str:
    """Write a number of bytes."""
    for unit, name in _SIZES:
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"


def show_figure(value: float | int | None) -> str:
    """Write a number for people: grouped if it is large, with one digit if it is small; a dash for what nobody knows."""
    if value is None:
        return UNKNOWN
    if value >= 1_000 or value == int(value):
        return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def sparkline(values: list[int], label: str) -> Markup:
    """Draw how a number went, as bars; `label` says so in words."""
    most = max(values, default=0) or 1
    bars = Markup("").join(
        Markup('<rect x="{}" y="{}" width="3" height="{}"/>').format(4 * at, 20 - height, height)
        for at, height in enumerate(max(1, round(20 * value / most)) if value else 0 for value in values)
        if height
    )
    width = 4 * len(values)
    return Markup(
        '<svg class="spark" viewBox="0 0 {} 20" width="{}" height="20" role="img" aria-label="{}">{}</svg>'
    ).format(width, width, escape(label), bars)


def _ago(passed: float) -> str:
    if abs(passed) < 1:
        return "now"
    return f"{_coarse(passed)} ago" if passed > 0 else f"in {_coarse(-passed)}"


def _coarse(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
