"""Tell the raw files of cameras. Most are TIFFs whose first picture is a small preview, which must not pass for the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import islice

from PIL.ExifTags import Base
from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

RAW = "a camera's raw file"
PREVIEW = "a TIFF that begins with a preview of its picture"

MOST_DIRECTORIES = 16
"""Directories of a TIFF to look at: a raw file has about five, and a client may name millions."""

_SIGN = re.compile(
    rb"FUJIFILMCCD-RAW|IIU\0|II[\x2a]\0.{4}(?:CR\x02\0|\xba\xb0\xac\xbb|IIII.waR)|MM\0\x2a.{4}MMMMRaw"
    rb"|II.{4}HEAPCCDR|IIR[OS]|MMOR|\0MRM|FOVb",
    re.DOTALL,
)
"""How RAF, RW2, CR2, IIQ, CRW, ORF, MRW and X3F begin."""

_BIG = 43
"""Third byte of a BigTIFF, whose header is longer."""

_MOSAIC, _LINEAR = 32803, 34892
"""What samples of a sensor are called by TIFF/EP and DNG, instead of colours."""


def name(raw: bytes) -> str | None:
    """Name a raw file, or a TIFF that begins with a preview; None for anything else, and what is too damaged to tell."""
    if _SIGN.match(raw):
        return RAW
    if not raw.startswith(tuple(PREFIXES)):
        return None
    try:
        first, *others = islice(_directories(raw), MOST_DIRECTORIES)
        if any(_is_raw(each) for each in (first, *others)):
            return RAW
        return PREVIEW if _is_reduced(first) and not all(map(_is_reduced, others)) else None
    except Exception:  # noqa: BLE001  damage of whatever kind is told when the picture is opened
        return None


def _directories(raw: bytes) -> Iterator[ImageFileDirectory_v2]:
    """Yield the directory of the first page, those below it, and those of the next pages."""
    header, file = raw[: 16 if raw[2] == _BIG else 8], BytesIO(raw)
    first = _directory(header, file, ImageFileDirectory_v2(header).next)
    yield first
    yield from (_directory(header, file, offset) for offset in _numbers(first, Base.SubIFDs))
    page = first
    while page.next:
        page = _directory(header, file, page.next)
        yield page


def _directory(header: bytes, file: BytesIO, offset: int) -> ImageFileDirectory_v2:
    directory = ImageFileDirectory_v2(header)
    file.seek(offset)
    directory.load(file)
    return directory


def _is_raw(directory: ImageFileDirectory_v2) -> bool:
    colours = _numbers(directory, Base.PhotometricInterpretation)
    return Base.DNGVersion in directory or not {_MOSAIC, _LINEAR}.isdisjoint(colours)


def _is_reduced(directory: ImageFileDirectory_v2) -> bool:
    """Tell whether it says that its picture is a smaller version of another in this file."""
    return any(flags & 1 for flags in _numbers(directory, Base.NewSubfileType)) or 2 in _numbers(
        directory, Base.SubfileType
    )


def _numbers(directory: ImageFileDirectory_v2, tag: int) -> list[int]:
    value = directory.get(tag, ())
    values = value if isinstance(value, tuple) else (value,)
    return [each for each in values if isinstance(each, int)]
