"""Colours where a right value can be reckoned without another program."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from sluice.errors import BadInput
from tests.support import made_profiles as profiles
from tests.support.made_pictures import (
    GREY,
    RGB,
    RGB_ALPHA,
    bmp_in_icon,
    bmp_with_alpha,
    exif,
    grey_tiff,
    icon,
    png,
    quarters,
    saved,
    tiff,
)
from tests.support.thumbnails import pixel, shrunk


def greys(raw: bytes) -> list[int]:
    """The grey values of a picture of one row."""
    _, picture = shrunk(raw)
    assert picture.mode == "L"
    return list(picture.tobytes())


@pytest.mark.parametrize("wanted", ["png", "webp", "jpeg"])
@pytest.mark.parametrize(
    "raw",
    [
        saved(Image.new("RGB", (40, 40), (255, 0, 255)), "PNG", transparency=(255, 0, 255)),
        saved(Image.new("L", (40, 40), 9), "PNG", transparency=9),
        saved(Image.new("I;16", (40, 40), 0), "PNG", transparency=0),
        saved(Image.new("1", (40, 40), 0), "PNG", transparency=0),
        png((8, 8), 1, GREY, b"\xff", [(b"tRNS", b"\0\1")]),
        png((8, 8), 2, GREY, b"\xff\xff", [(b"tRNS", b"\0\3")]),
        png((8, 8), 4, GREY, b"\x77" * 4, [(b"tRNS", b"\0\7")]),
        png((8, 8), 16, RGB, b"\1\2\3\4\5\6" * 8, [(b"tRNS", b"\1\2\3\4\5\6")]),
        icon(png((16, 16), 2, GREY, b"\xff" * 4, [(b"tRNS", b"\0\3")])),
    ],
    ids=["RGB", "8 bits", "16 bits", "1 bit", "1 bit, white", "2 bits", "4 bits", "RGB of 16 bits", "ICO"],
)
def test_a_colour_that_stands_for_transparency_is_transparent_and_white_in_a_jpeg(
    raw: bytes, wanted: str
) -> None:
    assert (
        pixel(raw, format=wanted) == (255, 255, 255, 255)
        if wanted == "jpeg"
        else pixel(raw, format=wanted)[3] == 0
    )


def part_of_a_gif(frame: Image.Image, **options: Any) -> bytes:
    """A GIF of 32 x 24 whose first frame, 16 x 12 and red, lies in the middle."""
    raw = saved(frame, "GIF", **options)
    begin = raw.index(b"," + struct.pack("<HHHH", 0, 0, 16, 12))
    frame_at = struct.pack("<HH", 8, 6)
    return raw[:6] + struct.pack("<HH", 32, 24) + raw[10 : begin + 1] + frame_at + raw[begin + 5 :]


FRAME = Image.new("P", (16, 12), 1)
FRAME.putpalette([0, 0, 255, 255, 0, 0])
HOLED = FRAME.copy()
HOLED.putpixel((5, 5), 0)  # or its transparent colour would not be written


@pytest.mark.parametrize(
    "raw",
    [
        part_of_a_gif(FRAME),
        part_of_a_gif(FRAME, background=0),
        part_of_a_gif(HOLED, transparency=0),
        part_of_a_gif(FRAME, save_all=True, append_images=[Image.new("P", (16, 12))]),
        part_of_a_gif(Image.new("L", (16, 12), 76)),
    ],
    ids=["plain", "with a background", "with a transparent colour", "animated", "grey"],
)
def test_what_the_frame_of_a_gif_leaves_uncovered_is_transparent_and_white_in_a_jpeg(raw: bytes) -> None:
    for outside in ((1, 1), (31, 1), (7, 12), (24, 12), (16, 5), (16, 18)):
        assert pixel(raw, outside)[3] == 0
    assert min(pixel(raw, (1, 1), format="jpeg")) > 245
    for inside in ((8, 6), (23, 17)):
        assert pixel(raw, inside) in ((255, 0, 0, 255), (76, 76, 76, 255))
    assert shrunk(raw)[0].source.width == 32


def test_a_gif_whose_frame_covers_it_has_no_alpha() -> None:
    assert shrunk(saved(FRAME, "GIF"))[1].mode == "RGB"


EMPTY = b"\0\0\xff\0"
"""A red pixel of a BMP whose alpha is nought."""

OF_FOUR = {256: [16], 257: [16], 258: [8] * 4, 259: [1], 262: [2], 277: [4], 278: [16]}
"""Tags of a TIFF that has a fourth sample and does not say what it is."""


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        (bmp_with_alpha((16, 16), EMPTY), 255),
        (bmp_with_alpha((16, 16), b"\0\0\xff\1"), 1),
        (tiff(OF_FOUR, b"\xff\0\0\0" * 256), 255),
        (tiff(OF_FOUR, b"\xff\0\0\1" * 256), 1),
        (tiff(OF_FOUR | {338: [2]}, b"\xff\0\0\0" * 256), 0),
        (png((16, 16), 8, RGB_ALPHA, b"\xff\0\0\0" * 16), 0),
        (icon(png((16, 16), 8, RGB_ALPHA, b"\xff\0\0\0" * 16)), 0),
        (icon(bmp_in_icon(16, EMPTY, b"\0")), 255),
        (icon(bmp_in_icon(16, b"\xff\0\xff\0", b"\0")[: -4 * 16]), 255),
        (icon(bmp_in_icon(16, EMPTY, b"\xff\xff")), 0),
        (icon(bmp_in_icon(16, b"\0\0\xff\1", b"\xff\xff")), 1),
    ],
    ids=["BMP", "BMP with alpha", "TIFF", "TIFF with alpha", "TIFF that says so", "PNG", "PNG in ICO", "ICO", "ICO without mask",
         "ICO masked", "ICO with alpha"],
)  # fmt: skip
def test_an_alpha_channel_that_was_left_empty_hides_nothing(raw: bytes, right: int) -> None:
    assert pixel(raw)[3] == right
    assert right < 255 or pixel(raw)[0] == 255


def test_the_mask_of_an_icon_whose_alpha_is_empty_says_what_is_transparent() -> None:
    raw = icon(bmp_in_icon(16, EMPTY, b"\xf0"))
    assert [pixel(raw, (x, 5))[3] for x in (0, 3, 4, 15)] == [0, 0, 255, 255]


GREEN_24, RED_32 = bmp_in_icon(16, b"\0\xff\0", b"\0"), bmp_in_icon(16, b"\0\0\xff\x80", b"\0")


@pytest.mark.parametrize(
    ("pictures", "right"),
    [
        ((GREEN_24,), (0, 255, 0, 255)),
        ((GREEN_24, RED_32), (255, 0, 0, 128)),
        ((RED_32, GREEN_24), (255, 0, 0, 128)),
    ],
)
@pytest.mark.parametrize("depth", [0, 32])
def test_an_icon_shows_its_best_picture_whatever_its_list_says(
    pictures: tuple[bytes, ...], right: tuple[int, ...], depth: int
) -> None:
    raw = bytearray(icon(*pictures, sizes=[16] * len(pictures)))
    raw[12:14] = depth.to_bytes(2, "little")
    assert pixel(bytes(raw)) == right


def test_a_side_of_nought_in_an_icon_is_one_of_256() -> None:
    raw = icon(RED_32, png((256, 256), 8, RGB_ALPHA, b"\1\2\3\4" * 256), sizes=(16, 0))
    assert shrunk(raw)[0].source.width == 256


def test_a_grey_that_differs_from_the_transparent_one_in_its_last_bit_is_seen() -> None:
    raw = png((8, 8), 16, GREY, b"\x12\x34" * 4 + b"\x12\x35" * 4, [(b"tRNS", b"\x12\x34")])
    assert [pixel(raw, (x, 4)) for x in (1, 6)] == [(0x12, 0x12, 0x12, 0), (0x12, 0x12, 0x12, 255)]


@pytest.mark.parametrize(
    ("profile", "colour", "right"),
    [
        (profiles.DISPLAY_P3, (200, 100, 50), (215, 93, 31)),
        (profiles.LIKE_ADOBE_RGB, (100, 180, 60), (0, 181, 42)),
        (profiles.SWAPPED, (250, 20, 20), (20, 20, 250)),
    ],
)
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colours_become_those_of_srgb(
    name: str, profile: bytes, colour: tuple[int, int, int], right: tuple[int, int, int]
) -> None:
    quality = {"quality": 100} if name in ("JPEG", "WEBP", "AVIF") else {}
    raw = saved(Image.new("RGB", (64, 64), colour), name, icc_profile=profile, **quality)
    assert max(abs(one - other) for one, other in zip(pixel(raw), right, strict=False)) <= 2
    answer, picture = shrunk(raw)
    assert answer.source.profile == "applied"
    assert "icc_profile" not in picture.info


def test_alpha_is_kept_where_colours_are_converted() -> None:
    raw = saved(Image.new("RGBA", (8, 8), (250, 20, 20, 99)), "PNG", icc_profile=profiles.SWAPPED)
    assert pixel(raw)[3] == 99
    assert pixel(raw)[2] > 240


def test_a_profile_of_grey_is_applied_and_grey_stays_grey() -> None:
    linear = profiles.grey_profile(1.0)
    right = round(255 * (1.055 * (60 / 255) ** (1 / 2.4) - 0.055))
    [grey, *_] = greys(saved(Image.new("L", (8, 8), 60), "PNG", icc_profile=linear))
    assert abs(grey - right) <= 1
    assert pixel(saved(Image.new("LA", (8, 8), (60, 99)), "PNG", icc_profile=linear)) == (
        grey,
        grey,
        grey,
        99,
    )


def test_a_grey_picture_may_have_a_profile_of_rgb() -> None:
    answer, picture = shrunk(saved(Image.new("L", (8, 8), 60), "PNG", icc_profile=profiles.LIKE_ADOBE_RGB))
    assert (answer.source.profile, picture.mode) == ("applied", "L")


@pytest.mark.parametrize(
    "raw",
    [
        saved(quarters(), "PNG", icc_profile=b"garbage"),
        saved(quarters(), "PNG", icc_profile=profiles.SWAPPED[:200]),
        saved(quarters(), "TIFF", icc_profile=profiles.SWAPPED[:-300]),
        saved(quarters(), "PNG", icc_profile=profiles.grey_profile(1.0)),
        saved(quarters(), "PNG", icc_profile=profiles.INKS),
        saved(quarters().convert("CMYK"), "TIFF", icc_profile=profiles.SWAPPED),
    ],
    ids=["garbage", "cut in its head", "cut off", "of grey", "of CMYK", "of RGB, in CMYK"],
)
def test_a_profile_that_does_not_fit_is_ignored_and_that_is_said(raw: bytes) -> None:
    answer, picture = shrunk(raw)
    assert answer.source.profile == "ignored"
    assert max(abs(a - b) for a, b in zip(picture.getpixel((3, 3)), (200, 40, 40), strict=True)) <= 1  # type: ignore[arg-type]  # it is RGB


def test_lab_needs_no_profile() -> None:
    lab = Image.new("LAB", (8, 8), (128, 128 + 60, 128))
    raw = saved(lab, "TIFF", icc_profile=profiles.SWAPPED)
    assert shrunk(raw)[0].source.profile == "ignored"
    assert pixel(raw) == pixel(saved(lab, "TIFF"))


def test_inks_of_a_jpeg_are_inverted_as_adobe_does() -> None:
    for inks, right in (((0, 0, 0, 0), (255, 255, 255, 255)), ((0, 0, 0, 255), (0, 0, 0, 255))):
        for name in ("JPEG", "TIFF"):
            assert pixel(saved(Image.new("CMYK", (16, 16), inks), name)) == right


@pytest.mark.parametrize(
    ("values", "right"),
    [
        ([0.0, 0.25, 0.5, 1.0], [0, 64, 128, 255]),
        ([0.0, 50.0, 255.0], [0, 50, 255]),
        ([1000.0, 1100.0, 1200.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.25, math.nan, 0.5], [64, 0, 128]),
        ([math.nan, 0.25, 0.5], [0, 64, 128]),
        ([200.0, 200.0], [255, 255]),
        ([-7.0, -7.0], [0, 0]),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_are_neither_black_nor_a_crash(values: Sequence[float], right: list[int], order: str) -> None:
    assert greys(grey_tiff(values, "f", order=order, sample_format=3)) == right


@pytest.mark.parametrize(
    ("values", "code", "signed", "right"),
    [
        ([0, 10, 200, 255], "i", 2, [0, 10, 200, 255]),
        ([0, 1000, 2000], "i", 2, [0, 128, 255]),
        ([-5, 0, 5], "i", 2, [0, 128, 255]),
        ([-100, 0, 155], "h", 2, [0, 100, 255]),
        ([0, 200], "I", 1, [0, 200]),
        ([0x0000, 0x8000, 0xFFFF], "H", 1, [0, 0x80, 0xFF]),
    ],
)
def test_whole_numbers_of_many_bits_are_seen(
    values: Sequence[int], code: str, signed: int, right: list[int]
) -> None:
    assert greys(grey_tiff(values, code, sample_format=signed)) == right


def test_sixteen_bits_whose_zero_is_white_are_inverted() -> None:
    assert greys(grey_tiff([0, 0x4000, 0xFFFF], "H", white_is_zero=True)) == [255, 191, 0]


def test_twelve_bits_of_grey_become_eight() -> None:
    tags = {256: [4], 257: [1], 258: [12], 259: [1], 262: [1], 277: [1], 278: [1]}
    assert greys(tiff(tags, b"\x80\x0f\xff\x00\x04\x00")) == [0x80, 0xFF, 0x00, 0x40]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (grey_tiff([0.0, math.inf], "f", sample_format=3), "infinite numbers: clip them"),
        (grey_tiff([-math.inf, 0.5], "f", sample_format=3), "infinite numbers: clip them"),
        (grey_tiff([0, 3_000_000_000], "I"), "above 2,147,483,647: send 8 or 16 bits"),
        (grey_tiff([0.0, 1.0], "d", sample_format=3), "TIFF opening failed. unknown pixel mode"),
    ],
)
def test_numbers_that_are_no_brightness_are_refused(raw: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        shrunk(raw)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_stays_grey(mode: str) -> None:
    assert shrunk(saved(quarters().convert(mode), "PNG"))[1].mode == "L"


def test_lab_and_ycbcr_become_rgb() -> None:
    lab = {256: [8], 257: [1], 258: [8] * 3, 259: [1], 262: [8], 277: [3], 278: [1]}
    red, green, blue, _ = pixel(tiff(lab, bytes([137, 80, 67]) * 8))  # CIE Lab 53.7, 80, 67: the red of sRGB
    assert red > 240
    assert max(green, blue) < 15
    assert pixel(tiff(lab | {262: [6], 530: [1, 1]}, bytes([128, 128, 128]) * 8)) == (128, 128, 128, 255)
    assert pixel(tiff(lab | {262: [6], 530: [1, 1]}, bytes([76, 85, 255]) * 8))[0] > 250


def test_premultiplied_colours_are_divided_by_their_alpha() -> None:
    tags = {256: [8], 257: [1], 258: [8, 8], 259: [1], 262: [1], 277: [2], 278: [1], 338: [1]}
    assert pixel(tiff(tags, struct.pack("BB", 0x40, 0x80) * 8)) == (127, 127, 127, 0x80)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_turned_picture_has_its_size_and_corners_where_they_belong(name: str, orientation: int) -> None:
    given = {"tiffinfo": {0x0112: orientation}} if name == "TIFF" else {"exif": exif(orientation)}
    answer, picture = shrunk(saved(quarters(), name, **given), width=24, height=24)
    upright = (48, 32) if orientation < 5 else (32, 48)
    assert (answer.source.width, answer.source.height) == upright
    assert picture.size == ((24, 16) if orientation < 5 else (16, 24))
    corners = [
        (1, 1),
        (picture.width - 2, 1),
        (1, picture.height - 2),
        (picture.width - 2, picture.height - 2),
    ]
    assert "".join(_name(picture.convert("RGB").getpixel(at)) for at in corners) == {
        1: "RGBY", 2: "GRYB", 3: "YBGR", 4: "BYRG", 5: "RBGY", 6: "BRYG", 7: "YGBR", 8: "GYRB",
    }[orientation]  # fmt: skip


def _name(colour: object) -> str:
    assert isinstance(colour, tuple)
    red, green, blue = colour
    if blue > 150:
        return "B"
    return "Y" if red > 150 and green > 150 else "R" if red > 150 else "G"
