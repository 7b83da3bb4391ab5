"""One real job for every shipped kind: what it is given, and its result told so that a person enjoys reading it."""

import base64
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.filesize import decimal

from infra.local import sample_weather as weather
from infra.local.sample_picture import preview, sunset

Output = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A job to submit: its input, how its output is told in one line, and what is shown below, if anything.

    A picture needs colours; a table does not.
    """

    kind: str
    input: Mapping[str, Any]
    tell: Callable[[Output], str]
    picture: Callable[[Output], RenderableType] | None = None
    table: Callable[[Output], RenderableType] | None = None


def samples(results: Path, seed: int) -> list[Sample]:
    """Return a sample per shipped kind. Another seed gives other inputs, so that no answer comes from a cache."""
    return [_sum(seed), _sleep(), _spin(), _thumbnail(results, seed), _measurements(results, seed)]


def _sum(seed: int) -> Sample:
    last = random.Random(seed).randint(1_000, 5_000)  # noqa: S311  any number will do
    values = list(range(1, last + 1))
    return Sample(
        "demo.sum", {"values": values}, lambda output: f"1 + 2 + … + {last:,} = {output['total']:,}"
    )


def _sleep() -> Sample:
    return Sample(
        "demo.sleep",
        {"seconds": 1.2},
        lambda output: f"slept {output['slept_s']:.2f} s without holding a thread",
    )


def _spin() -> Sample:
    return Sample(
        "demo.spin",
        {"seconds": 0.8},
        lambda output: f"{output['iterations']:,} turns in a process of its own",
    )


def _thumbnail(results: Path, seed: int) -> Sample:
    original = sunset(seed)
    given = {"image": base64.b64encode(original).decode(), "width": 480, "height": 480, "format": "webp"}

    def tell(output: Output) -> str:
        file = _saved(results / f"thumbnail.{output['format']}", output["image"])
        shrunk = f"{decimal(len(original))} → {decimal(output['bytes'])}"
        return f"{output['width']} by {output['height']} {output['format']}, {shrunk}: {file}"

    return Sample("image.thumbnail", given, tell, lambda output: preview(base64.b64decode(output["image"])))


def _measurements(results: Path, seed: int) -> Sample:
    def tell(output: Output) -> str:
        file = _saved(results / "weather.png", output["plot"]["image"])
        return f"{output['rows']:,} readings of {len(output['series'])} series: {file}"

    return Sample("measurements.summary", {"csv": weather.readings(seed)}, tell, table=weather.table)


def _saved(file: Path, image: str) -> str:
    """Write a picture that came in base64, and say where it lies."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(image))
    return os.path.relpath(file)
