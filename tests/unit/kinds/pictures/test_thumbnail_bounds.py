"""Pictures that are too large, cut off, broken or none: refused in words that help, before they cost memory or time."""

from __future__ import annotations

import multiprocessing
import re
import resource
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import PIL.Image
import PIL.ImageFile
import PIL.PngImagePlugin
import pytest
from PIL import Image

from sluice.errors import BadInput
from sluice.kinds.pictures import opening
from tests.support.made_pictures import (
    GREY,
    RGB_ALPHA,
    exif,
    icon,
    png,
    png_chunk,
    quarters,
    saved,
    tiff,
    with_png_chunk,
)
from tests.support.made_profiles import SWAPPED
from tests.support.thumbnails import shrunk

GIF_SCREEN = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
WEBP_CANVAS = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xfe\x3f\0\xfe\x3f\0" + b"\0" * 20
TIFF_TAGS = {256: [20_000], 257: [20_000], 258: [8], 259: [1], 262: [1], 277: [1], 278: [20_000]}
BMP_HEAD = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 20_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0)


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    raw = bytearray(saved(quarters(), "JPEG"))
    at = raw.index(b"\xff\xc0") + 5
    raw[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(raw)


TOO_LARGE = {
    "PNG just over": png((8_001, 8_000), 1, GREY, b"\0" * 1_001),
    "PNG far over": png((20_000, 20_000), 1, GREY, b"\0" * 2_500),
    "PNG, tall": png((1, 1_000_000), 8, GREY, b"\0"),
    "PNG, wide": png((1_000_000, 1), 8, GREY, b"\0" * 1_000_000),
    "JPEG": jpeg_of(60_000, 60_000),
    "GIF": GIF_SCREEN,
    "WebP": WEBP_CANVAS,
    "TIFF": tiff(TIFF_TAGS, b"\0\0"),
    "BMP": BMP_HEAD,
    "ICO": icon(png((8_001, 8_000), 1, GREY, b"\0" * 1_001)),
}


@pytest.mark.parametrize("raw", TOO_LARGE.values(), ids=TOO_LARGE)
def test_more_pixels_than_are_decoded_are_refused(raw: bytes) -> None:
    with pytest.raises(
        BadInput, match=r"too many pixels: at most 64,000,000, and 250,000 a side, are decoded"
    ):
        shrunk(raw)


def _memory_of(raw: bytes) -> int:
    """MiB that a process needs for this picture beyond what it needs for a small one."""
    shrunk(saved(quarters(), "PNG"))
    before = _peak()
    with suppress(BadInput):
        shrunk(raw)
    return (_peak() - before) >> 10


def _peak() -> int:
    """KiB that this process has had in use at most; `getrusage` counts what its parent had as well."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def memory_of(raw: bytes) -> int:
    """Ask a process of its own, as memory is counted by its peak."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_memory_of, (raw,))


@pytest.mark.parametrize("name", ["PNG far over", "WebP", "ICO", "PNG, tall"])
def test_what_is_refused_took_no_memory(name: str) -> None:
    assert memory_of(TOO_LARGE[name]) < 20


def test_text_that_swells_takes_no_memory_and_the_picture_is_read() -> None:
    bomb = (b"zTXt", b"c\0\0" + zlib.compress(b"x" * 400_000_000))
    plain = saved(quarters(), "PNG")
    for raw in (with_png_chunk(plain, *bomb), plain[:-12] + png_chunk(*bomb) + plain[-12:]):
        assert shrunk(raw)[0].source.width == 48
    assert memory_of(with_png_chunk(plain, *bomb)) < 300


def test_the_largest_picture_fits_into_the_memory_of_a_process() -> None:
    assert memory_of(png((8_000, 8_000), 8, RGB_ALPHA, b"\1\2\3\4" * 8_000)) < 1_024


def _ending_without_memory(raw: bytes) -> str:
    shrunk(saved(quarters(), "JPEG", progressive=True))
    resource.setrlimit(resource.RLIMIT_DATA, (350 << 20, 350 << 20))
    try:
        shrunk(raw, width=4_096, height=4_096)
    except (BadInput, MemoryError) as error:
        return type(error).__name__
    return "taken"


@pytest.mark.parametrize(("side", "right"), [(8_000, "MemoryError"), (100, "BadInput")])
def test_a_picture_is_not_called_damaged_where_memory_is_short(side: int, right: str) -> None:
    raw = saved(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    given = raw if right == "MemoryError" else raw[:-100]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_ending_without_memory, (given,)) == right


def test_many_scans_of_a_large_jpeg_are_refused_and_of_a_small_one_taken() -> None:
    def with_scans(side: int) -> bytes:
        raw = saved(Image.new("L", (side, side)), "JPEG", progressive=True)
        return raw[:-2] + raw[raw.rindex(b"\xff\xda") : -2] * 1_000 + raw[-2:]

    began = time.process_time()
    with pytest.raises(BadInput, match="far more scans than a picture needs: save it anew"):
        shrunk(with_scans(4_000))
    assert time.process_time() - began < 2
    assert shrunk(with_scans(16))[0].source.format == "jpeg"


def test_pillows_bounds_are_afterwards_as_they_were() -> None:
    with pytest.raises(BadInput):
        shrunk(b"nothing at all")
    assert PIL.PngImagePlugin.MAX_TEXT_CHUNK == PIL.ImageFile.SAFEBLOCK
    assert PIL.PngImagePlugin.MAX_TEXT_MEMORY == 64 * PIL.ImageFile.SAFEBLOCK
    assert PIL.Image.MAX_IMAGE_PIXELS != opening.MAX_PIXELS
    assert not PIL.Image.WARN_POSSIBLE_FORMATS


def media(*brands: bytes) -> bytes:
    """The beginning of an ISO media file."""
    box = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands)
    return struct.pack(">I", len(box) + 4) + box + b"\0" * 100


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (media(b"heic", b"mif1"), "^'image' is HEIC, which is not read: send PNG, JPEG"),
        (media(b"mif1", b"heic"), "is HEIC"),
        (media(b"msf1", b"hevc"), "is HEIC"),
        (media(b"heix"), "is HEIC"),
        (media(b"qt  "), "is a video"),
        (media(b"isom", b"mp42"), "is a video"),
        (media(b"avif", b"mif1"), "AVIF opening failed|damaged"),
        (b"%PDF-1.7 nothing", "is a PDF, which is not read: send PNG"),
        (b"\n<svg></svg>", "is an SVG"),
        (b"<?xml version='1.0'?><svg/>", "perhaps an SVG"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"<!doctype html>", "is a web page"),
        (b"8BPS\0\1", "is a Photoshop document"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL"),
        (b"\xff\x0a\0\0", "is JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000"),
        (b"\x1f\x8b\x08\0", "compressed with gzip"),
        (b"PK\x03\x04", "is a ZIP archive"),
        (png((5, 5), 8, GREY, b"12345").replace(b"\0\0\0\rIHDR", png_chunk(b"CgBI", b"P\0 \2") + b"\0\0\0\rIHDR"), "Xcode has packed for iPhones"),
        (b"hello", r"none of the pictures that are read: PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or ICO\. It begins with b'hello'"),
        (b"P6 1 1 255 abc", "none of the pictures that are read"),
        (png((0, 5), 8, GREY, b""), "PNG opening failed"),
        (png((5, 0), 8, GREY, b""), "PNG opening failed"),
        (saved(quarters(), "PNG")[:20], "PNG opening failed|cut off"),
        (b"\xff\xd8\xff\xe0", "JPEG opening failed"),
        (b"GIF89a", "GIF opening failed|damaged"),
        (b"BM12345678901234567890", "BMP opening failed|damaged"),
        (b"II*\0\x08\0\0\0\0\0", "TIFF opening failed"),
        (b"\0\0\1\0\0\0", "ICO opening failed"),
        (b"\0\0\1\0\1\0\x10\x10", "ICO opening failed"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_by_its_name(raw: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        shrunk(raw)


def icon_of_bmp(image: Image.Image) -> bytes:
    file = BytesIO()
    image.convert("RGBA").resize((48, 48)).save(file, "ICO", sizes=[(48, 48)], bitmap_format="bmp")
    return file.getvalue()


def plain(name: str) -> Callable[[Image.Image], bytes]:
    return lambda image: saved(image, name)


CUT: dict[str, Callable[[Image.Image], bytes]] = {
    **{name: plain(name) for name in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO")},
    "progressive": lambda image: saved(image, "JPEG", progressive=True),
    "MPO": lambda image: saved(image, "MPO", save_all=True, append_images=[image]),
    "APNG": lambda image: saved(image, "PNG", save_all=True, append_images=[image.rotate(90)]),
    "LZW": lambda image: saved(image, "TIFF", compression="tiff_lzw"),
    "deflate": lambda image: saved(image, "TIFF", compression="tiff_adobe_deflate"),
    "JPEG in TIFF": lambda image: saved(image, "TIFF", compression="jpeg"),
    "ICO of BMP": icon_of_bmp,
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_was_cut_off_is_refused_or_shown_whole(name: str) -> None:
    whole = CUT[name](Image.effect_noise((64, 48), 80).convert("RGB"))
    cuts = {*range(8, len(whole), len(whole) // 25), *range(len(whole) - 16, len(whole))}
    seen = [shown(whole[:cut]) for cut in sorted(cuts)]
    assert {*seen} <= {None, shown(whole)}
    assert seen.count(None) > 10


def shown(raw: bytes) -> str | None:
    """Return the thumbnail, or None if the picture is refused."""
    try:
        return shrunk(raw)[0].image
    except BadInput:
        return None


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_further_frames_are_not_shown_and_that_is_said(name: str) -> None:
    other = [quarters().rotate(180)]
    answer, picture = shrunk(saved(quarters(), name, save_all=True, append_images=other))
    assert answer.source.more_frames
    assert getattr(picture, "n_frames", 1) == 1
    assert not shrunk(saved(quarters(), name))[0].source.more_frames


def test_a_damaged_second_frame_does_not_matter() -> None:
    raw = saved(quarters(), "GIF", save_all=True, append_images=[quarters().rotate(180)])
    second = raw.rindex(b"!\xf9\x04")
    right = shown(raw)
    assert {shown(raw[:cut]) for cut in range(second, second + 20)} == {right}
    assert shown(raw[:second] + b"\xff" * 5) == right


def test_further_pictures_in_a_jpeg_are_no_frames_and_it_is_still_a_jpeg() -> None:
    answer, _ = shrunk(saved(quarters(), "MPO", save_all=True, append_images=[quarters()]))
    assert (answer.source.format, answer.source.more_frames) == ("jpeg", False)


@pytest.mark.parametrize("size", [(250_000, 4), (4, 250_000)])
def test_a_picture_of_an_extreme_shape_keeps_a_pixel(size: tuple[int, int]) -> None:
    _, picture = shrunk(png(size, 8, GREY, b"\x80" * size[0]))
    assert sorted(picture.size) == [1, 256]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_large_metadata_is_read_over(name: str) -> None:
    large = Image.Exif()
    large[0x0112], large[0x9286] = 6, "x" * (50_000 if name == "JPEG" else 3 << 20)
    assert shrunk(saved(quarters(), name, exif=large))[1].size == (32, 48)


@pytest.mark.parametrize(("chunks", "size"), [(1, 2 << 20), (80, 900_000)])
def test_text_of_a_png_above_pillows_bounds_costs_it_nothing(chunks: int, size: int) -> None:
    raw = saved(quarters(), "PNG", exif=exif(6), icc_profile=SWAPPED)
    for number in range(chunks):
        raw = with_png_chunk(raw, b"zTXt", b"c%d\0\0" % number + zlib.compress(b"x" * size))
    answer, picture = shrunk(raw)
    assert (picture.size, answer.source.profile) == ((32, 48), "applied")


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iCCP", b"p\0\0" + zlib.compress(b"x" * (2 << 20))),
        (b"iCCP", b"p\0\0garbage"),
        (b"iCCP", b"p\0\1of no known method"),
        (b"iCCP", b"p\0"),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_a_png_whose_profile_cannot_be_read_says_that_it_was_ignored(
    chunk: tuple[bytes, bytes], behind: bool
) -> None:
    plain = saved(quarters(), "PNG")
    raw = plain[:-12] + png_chunk(*chunk) + plain[-12:] if behind else with_png_chunk(plain, *chunk)
    assert shrunk(raw)[0].source.profile == "ignored"


def test_a_png_whose_profile_cannot_be_read_keeps_what_its_picture_needs() -> None:
    raw = saved(quarters(), "PNG", exif=exif(6), transparency=(200, 40, 40))
    _, picture = shrunk(with_png_chunk(raw, b"iCCP", b"p\0"))
    assert picture.size == (32, 48)
    assert picture.getpixel((30, 2)) == (200, 40, 40, 0)


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "L", "1"])
def test_broken_exif_does_not_matter_in_any_mode(mode: str) -> None:
    raw = with_png_chunk(saved(quarters().convert(mode), "PNG"), b"eXIf", b"garbage")
    assert shrunk(raw)[1].size == (48, 32)


def test_an_error_without_a_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, *_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("PIL.Image.Image.thumbnail", fail)
    with pytest.raises(BadInput, match="rare kind: AssertionError"):
        shrunk(saved(quarters(), "PNG"))


def test_a_file_that_may_be_whole_and_still_not_be_read_is_not_only_called_damaged() -> None:
    lossless = saved(quarters(), "JPEG").replace(b"\xff\xc0", b"\xff\xc3")
    with pytest.raises(BadInput, match=r"or of a rare kind: .*\. Send the whole file, or else save it anew"):
        shrunk(lossless)


def test_a_check_sum_of_metadata_does_not_matter() -> None:
    raw = with_png_chunk(saved(quarters(), "PNG"), b"tEXt", b"Comment\0hello").replace(b"hello", b"jello")
    assert shrunk(raw)[0].source.format == "png"


def test_no_more_formats_are_opened_than_are_named() -> None:
    assert [name.lower() for name in opening.READS] == [
        name.strip().lower() for name in opening.TAKEN.replace(" or ", ", ").split(",")
    ]
