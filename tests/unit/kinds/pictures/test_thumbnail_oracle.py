"""Pictures as phones, cameras, scanners and web servers write them look as libvips shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.made_pictures import ORIENTATION, exif, quarters, saved
from tests.support.picture_corpus import (
    Case,
    clear,
    coloured,
    deep,
    first_frames,
    keyed,
    odd_metadata,
    turned,
)
from tests.support.picture_oracle import difference, in_srgb, needs_oracle, upright
from tests.support.thumbnails import shrunk

pytestmark = needs_oracle


def cases(*sources: Iterator[Case]) -> list[Any]:
    """Make parameters of tests."""
    return [pytest.param(raw, suffix, id=name) for source in sources for name, raw, suffix in source]


WHOLE = cases(turned(), keyed(), clear(), deep(), first_frames(), odd_metadata())
COLOURED = cases(coloured())


@pytest.mark.parametrize(("raw", "suffix"), WHOLE)
def test_a_picture_looks_as_libvips_shows_it(raw: bytes, suffix: str, tmp_path: Path) -> None:
    answer, picture = shrunk(raw, width=1000, height=1000)
    assert (answer.source.width, answer.source.height) == picture.size
    greatest, mean = difference(picture, upright(raw, suffix, tmp_path))
    assert greatest <= (30 if answer.source.format in ("jpeg", "webp", "avif", "tiff") else 1), "at an edge"
    assert mean <= 2


@pytest.mark.parametrize(("raw", "suffix"), COLOURED)
def test_colours_of_a_profile_become_those_of_srgb(raw: bytes, suffix: str, tmp_path: Path) -> None:
    answer, picture = shrunk(raw)
    assert answer.source.profile == "applied"
    assert difference(picture, in_srgb(raw, suffix, tmp_path))[0] <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
def test_a_large_picture_is_scaled_as_libvips_does(name: str, orientation: int, tmp_path: Path) -> None:
    given = {"tiffinfo": {ORIENTATION: orientation}} if name == "TIFF" else {"exif": exif(orientation)}
    raw = saved(quarters(900, 600), name, **given)
    _, picture = shrunk(raw, width=60, height=60)
    assert difference(picture, upright(raw, name.lower(), tmp_path, 60))[1] < 3
