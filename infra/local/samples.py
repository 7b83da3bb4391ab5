"""One real job for every shipped kind: what it is given, and its result told so that a person enjoys reading it."""

import base64
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from rich.text import Text

from infra.local.picture import preview, sunset

Output = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A job to submit: its input, how its output is told in one line, and a picture to show below, if it made one."""

    kind: str
    input: Mapping[str, Any]
    tell: Callable[[Output], str]
    show: Callable[[Output], Text] | None = None


def samples(results: Path, seed: int) -> list[Sample]:
    """Return a sample per shipped kind. Another seed gives other inputs, so that no answer comes from a cache."""
    return [_sum(seed), _sleep(), _spin(), _thumbnail(results, seed)]


def _sum(seed: int) -> Sample:
    last = random.Random(seed).randint(1_000, 5_000)  # noqa: S311 - any number will do
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
        image = base64.b64decode(output["image"])
        file = results / f"thumbnail.{output['format']}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image)
        shrunk = f"{decimal(len(original))} → {decimal(len(image))}"
        return (
            f"{output['width']} by {output['height']} {output['format']}, {shrunk}: {os.path.relpath(file)}"
        )

    return Sample("image.thumbnail", given, tell, lambda output: preview(base64.b64decode(output["image"])))
