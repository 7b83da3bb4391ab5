"""Raw files of cameras are refused by their name, and no preview in them is shown for the picture."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import pytest

from sluice.errors import BadInput
from tests.support.made_pictures import directory, quarters, saved, tiff
from tests.support.thumbnails import shrunk

REDUCED, PAGE_KIND, COLOURS, BELOW, DNG = 254, 255, 262, 330, 50706
MOSAIC, LINEAR, BLACK_IS_ZERO = 32803, 34892, 1

PLAIN: dict[int, Sequence[int]] = {
    256: [16],
    257: [16],
    258: [8],
    259: [1],
    COLOURS: [BLACK_IS_ZERO],
    277: [1],
    278: [16],
}
GREY = b"I" * 256
RAW, PREVIEW = "is a camera's raw file, which is not read: send PNG", "is a TIFF that begins with a preview"

BEGINNINGS = {
    "RAF": b"FUJIFILMCCD-RAW 0201FF392201",
    "RW2": b"IIU\0\x18\0\0\0\x88\xe7t\xd8",
    "CR2": b"II*\0\x10\0\0\0CR\2\0",
    "IIQ": b"II*\0\x08\x0a\0\0IIIICwaR",
    "IIQ, big-endian": b"MM\0*\0\0\x0a\x08MMMMRawC",
    "CRW": b"II\x1a\0\0\0HEAPCCDR",
    "CR3": struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom",
    "ORF": b"IIRO\x08\0\0\0",
    "ORF of other cameras": b"IIRS\x08\0\0\0",
    "ORF, big-endian": b"MMOR\0\0\0\x08",
    "MRW": b"\0MRM\0\0\x0a\x0c",
    "X3F": b"FOVb\2\0\2\0",
}


def made(
    tags: Mapping[int, Sequence[int]],
    *,
    below: Mapping[int, int] | None = None,
    page: Mapping[int, int] | None = None,
    order: str = "<",
) -> bytes:
    """Write a grey TIFF with further tags, a directory below its own, and one of a next page."""
    pointer = {BELOW: [1]} if below is not None else {}
    end = len(tiff({**PLAIN, **tags, **pointer}, GREY, order=order))
    lower = directory(below, order=order) if below is not None else b""
    pointer = {BELOW: [end]} if pointer else {}
    whole = tiff({**PLAIN, **tags, **pointer}, GREY, order=order, next_page=end + len(lower) if page else 0)
    assert len(whole) == end
    return whole + lower + (directory(page, order=order) if page else b"")


NAMED = {
    "DNG": (made({REDUCED: [1], DNG: [1, 4, 0, 0]}, below={COLOURS: MOSAIC}), RAW),
    "DNG cut off": (made({DNG: [1, 4, 0, 0]}, below={COLOURS: MOSAIC})[:-10], RAW),
    "NEF, ARW, SRW, 3FR": (made({REDUCED: [1]}, below={COLOURS: MOSAIC, REDUCED: 0}), RAW),
    "without a flag": (made({}, below={COLOURS: LINEAR}, order=">"), RAW),
    "PEF": (tiff(PLAIN | {COLOURS: [MOSAIC]}, GREY), RAW),
    "a BigTIFF": (saved(quarters(), "TIFF", big_tiff=True, tiffinfo={DNG: b"\1\4\0\0"}), RAW),
    "the next page": (made({}, page={COLOURS: MOSAIC}), RAW),
    "a preview and its picture": (made({REDUCED: [1]}, below={REDUCED: 0}), PREVIEW),
    "a preview and a lost picture": (made({REDUCED: [1]}, below={REDUCED: 0})[:-10], PREVIEW),
    "an older preview": (made({PAGE_KIND: [2]}, page={PAGE_KIND: 1}), PREVIEW),
}  # fmt: skip

SHOWN = {
    "grey that looks like a sign": tiff(PLAIN, GREY),
    "a preview below": made({}, below={REDUCED: 1}),
    "previews behind": made({REDUCED: [0]}, page={REDUCED: 1}),
    "a BigTIFF": saved(quarters().resize((16, 16)), "TIFF", big_tiff=True),
    "pages": made({REDUCED: [2]}, page={REDUCED: 2}),
    "a preview alone": made({REDUCED: [1]}),
    "all of them previews": made({REDUCED: [1]}, below={REDUCED: 1}, page={REDUCED: 1}),
    "pages in a circle": tiff(PLAIN | {REDUCED: [1]}, GREY, next_page=8 + len(GREY)),
    "nothing below": tiff(PLAIN | {BELOW: [60_000]}, GREY),
    "much below": tiff(PLAIN | {BELOW: [300] * 1_000_000}, GREY),
}


@pytest.mark.parametrize("begin", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_raw_file_is_known_by_its_beginning(begin: bytes) -> None:
    with pytest.raises(BadInput, match=RAW):
        shrunk(begin + b"\0" * 200)


@pytest.mark.parametrize(("raw", "words"), NAMED.values(), ids=NAMED)
def test_a_raw_file_or_preview_is_known_by_what_its_directories_say(raw: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        shrunk(raw)


@pytest.mark.parametrize("raw", SHOWN.values(), ids=SHOWN)
def test_other_tiffs_are_shown(raw: bytes) -> None:
    assert shrunk(raw)[0].source.width == 16
