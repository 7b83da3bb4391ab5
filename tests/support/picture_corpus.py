"""Pictures as phones, cameras, scanners and web servers write them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from tests.support import made_profiles as profiles
from tests.support.made_pictures import (
    GREY,
    GREY_ALPHA,
    ORIENTATION,
    PALETTE,
    RGB,
    RGB_ALPHA,
    bmp_with_alpha,
    exif,
    grey_tiff,
    icon,
    png,
    png_chunk,
    quarters,
    saved,
    tiff,
    with_png_chunk,
)

Case = tuple[str, bytes, str]
"""A name, a file, and the suffix of its name."""

CLEAR = (10, 200, 30, 120)
COLOURS = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])


def options(name: str) -> dict[str, Any]:
    """Save so that little is lost."""
    if name == "AVIF":
        return {"quality": 100, "subsampling": "4:4:4"}
    return {"quality": 100} if name in ("JPEG", "WEBP") else {}


def turned() -> Iterator[Case]:
    """Every orientation in every format that carries one."""
    for orientation in range(1, 9):
        for name in ("JPEG", "PNG", "WEBP", "AVIF"):
            raw = saved(quarters(), name, exif=exif(orientation), **options(name))
            yield f"{name} {orientation}", raw, name.lower()
        for packed in (None, "tiff_lzw", "jpeg"):
            raw = saved(quarters(), "TIFF", tiffinfo={ORIENTATION: orientation}, compression=packed)
            yield f"TIFF {packed} {orientation}", raw, "tiff"
        raw = saved(quarters(), "MPO", save_all=True, append_images=[quarters()], exif=exif(orientation))
        yield f"MPO {orientation}", raw, "jpg"
    for orientation in (0, 9, 255):
        yield f"JPEG {orientation}", saved(quarters(), "JPEG", exif=exif(orientation), quality=95), "jpg"


def keyed() -> Iterator[Case]:
    """A colour that stands for transparency."""
    size = (8, 8)
    halves = Image.new("RGB", (40, 40), (255, 0, 255))
    halves.paste((0, 0, 255), (20, 0, 40, 40))
    yield "key of RGB", saved(halves, "PNG", transparency=(255, 0, 255)), "png"
    near = b"\x12\x34\x56\x78\x9a\xbc" * 4 + b"\xaa\xbb\0\0\0\0" * 4
    yield "key of 16-bit RGB", png(size, 16, RGB, near, [(b"tRNS", near[:6])]), "png"
    for bits, row in ((1, b"\x0f"), (2, b"\xff\x55"), (4, b"\x77\x77\xaa\xaa"), (8, b"\x20\x40" * 4)):
        top = row[-1] >> (8 - bits)
        yield f"key of {bits}-bit grey", png(size, bits, GREY, row, [(b"tRNS", bytes([0, top]))]), "png"
    row = b"\x12\x34" * 4 + b"\x12\x35" * 2 + b"\xaa\xbb" * 2
    yield "key of 16-bit grey", png(size, 16, GREY, row, [(b"tRNS", b"\x12\x34")]), "png"


def clear() -> Iterator[Case]:
    """Alpha: of palettes, of 8 and 16 bits, premultiplied."""
    size = (8, 8)
    palette, alphas = (b"PLTE", COLOURS), (b"tRNS", b"\0\x80\xff")
    yield "palette", png(size, 8, PALETTE, bytes([0, 0, 1, 1, 2, 2, 3, 3]), [palette, alphas]), "png"
    yield "palette of 2 bits", png(size, 2, PALETTE, b"\x05\xaf", [palette, alphas]), "png"
    yield "grey and alpha", png(size, 8, GREY_ALPHA, b"\x80\x40" * 8), "png"
    yield "16-bit grey and alpha", png(size, 16, GREY_ALPHA, b"\x80\0\x40\0" * 8), "png"
    yield "16-bit RGB and alpha", png(size, 16, RGB_ALPHA, b"\x80\0\x40\0\x20\0\x90\0" * 8), "png"
    for name in ("WEBP", "AVIF", "TIFF", "PNG"):
        yield f"RGBA {name}", saved(Image.new("RGBA", size, CLEAR), name, **options(name)), name.lower()
    yield "PA TIFF", saved(Image.new("RGBA", size, CLEAR).convert("PA"), "TIFF"), "tiff"
    grey = {256: [8], 257: [1], 258: [8, 8], 259: [1], 262: [1], 277: [2], 278: [1], 338: [1]}
    yield "premultiplied grey", tiff(grey, b"\x40\x80" * 8), "tiff"
    colour = grey | {258: [8] * 4, 262: [2], 277: [4]}
    yield "premultiplied RGB", tiff(colour, b"\x40\x20\x10\x80" * 8), "tiff"
    yield "BMP", bmp_with_alpha(size, b"\x20\x40\x80\x60"), "bmp"
    first = Image.new("P", size, 0)
    first.putpalette(COLOURS)
    first.paste(1, (4, 0, 8, 8))
    yield "GIF", saved(first, "GIF", transparency=0), "gif"
    yield "ICO", icon(saved(Image.new("RGBA", (16, 16), CLEAR), "PNG")), "ico"
    yield "ICO with a palette", icon(png((16, 16), 8, PALETTE, bytes([0, 1] * 8), [palette, alphas])), "ico"
    yield "ICO of BMP", saved(Image.new("RGBA", (16, 16), CLEAR), "ICO", bitmap_format="bmp"), "ico"


def deep() -> Iterator[Case]:
    """Bits and colour spaces."""
    for order in "<>":
        yield f"16-bit grey {order}", grey_tiff([0, 0, 0x4000, 0x8000] * 4, "H", order=order), "tiff"
        yield f"32-bit {order}", grey_tiff([10, 10, 100, 200] * 4, "i", order=order, sample_format=2), "tiff"
        white = grey_tiff([10, 10, 100, 200] * 4, "B", order=order, white_is_zero=True)
        yield f"white is zero {order}", white, "tiff"
        samples = struct.pack(f"{order}24H", *[0x8000, 0x4000, 0x2000] * 8)
        tags = {256: [8], 257: [1], 258: [16] * 3, 259: [1], 262: [2], 277: [3], 278: [1]}
        yield f"16-bit RGB {order}", tiff(tags, samples, order=order), "tiff"
    yield "16-bit white is zero", grey_tiff([0, 0x4000, 0x8000] * 4, "H", white_is_zero=True), "tiff"
    for bits in (1, 2, 4):
        yield f"grey of {bits} bits", png((8, 8), bits, GREY, b"\x1b" * bits), "png"
    yield "16-bit RGB", png((8, 8), 16, RGB, b"\x80\xff\x40\xff\x20\xff" * 8), "png"
    for packed in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma"):
        yield f"TIFF {packed}", saved(quarters(), "TIFF", compression=packed), "tiff"
    for packed in ("group3", "group4"):
        yield f"TIFF {packed}", saved(quarters().convert("1"), "TIFF", compression=packed), "tiff"
    yield "progressive", saved(quarters(), "JPEG", progressive=True, quality=100), "jpg"
    yield "grey JPEG", saved(quarters().convert("L"), "JPEG", quality=100), "jpg"
    yield "RGB JPEG", saved(quarters(), "JPEG", keep_rgb=True, quality=100), "jpg"
    yield "1-bit", saved(quarters().convert("1"), "PNG"), "png"
    yield "BMP with a palette", saved(quarters().convert("P"), "BMP"), "bmp"


def first_frames() -> Iterator[Case]:
    """Pictures that have more than one."""
    other = [quarters().rotate(180)]
    for name in ("GIF", "WEBP", "PNG", "TIFF"):
        lossless = {"lossless": True} if name == "WEBP" else options(name)
        raw = saved(quarters(), name, save_all=True, append_images=other, **lossless)
        yield f"frames of {name}", raw, name.lower()


def odd_metadata() -> Iterator[Case]:
    """Large, broken and misplaced metadata, with a picture that is not."""
    plain, big = saved(quarters(), "PNG"), zlib.compress(b"x" * (2 << 20))
    for chunk, data in (
        (b"zTXt", b"Comment\0\0" + big),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + big),
        (b"iCCP", b"p\0\0" + big),
        (b"iCCP", b"p\0\0garbage"),
        (b"iCCP", b"p\0\1of no known method"),
        (b"iCCP", b"p\0"),
        (b"eXIf", b"garbage"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 9\nzzzz"),
        (b"gAMA", b"\0"),
        (b"pHYs", b"\0"),
    ):
        yield f"{chunk.decode()} {data[:20]!r}", with_png_chunk(plain, chunk, data), "png"
        yield (
            f"{chunk.decode()} behind {data[:20]!r}",
            plain[:-12] + png_chunk(chunk, data) + plain[-12:],
            "png",
        )
    yield (
        "JPEG, broken EXIF",
        saved(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", quality=100),
        "jpg",
    )
    for name in ("TIFF", "AVIF"):
        large = Image.Exif()
        large[ORIENTATION], large[0x9286] = 6, "x" * (1 << 20)
        yield f"{name}, large EXIF", saved(quarters(), name, exif=large, **options(name)), name.lower()


def coloured() -> Iterator[Case]:
    """Profiles in every format that carries one."""
    for name in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF"):
        for profile in (profiles.DISPLAY_P3, profiles.LIKE_ADOBE_RGB, profiles.SWAPPED):
            raw = saved(
                Image.new("RGB", (32, 32), (200, 100, 50)), name, icc_profile=profile, **options(name)
            )
            yield f"RGB {name}", raw, name.lower()
    linear = profiles.grey_profile(1.0)
    for name in ("PNG", "JPEG", "TIFF"):
        yield f"grey {name}", saved(Image.new("L", (32, 32), 60), name, icc_profile=linear), name.lower()
    yield "grey and alpha", saved(Image.new("LA", (32, 32), (60, 99)), "PNG", icc_profile=linear), "png"
    yield "16-bit grey", saved(Image.new("I;16", (32, 32), 60 << 8), "PNG", icc_profile=linear), "png"
    yield "RGBA", saved(Image.new("RGBA", (32, 32), CLEAR), "PNG", icc_profile=profiles.SWAPPED), "png"
    for name in ("JPEG", "TIFF"):
        for inks in ((200, 30, 60, 20), (0, 0, 0, 0), (0, 255, 255, 0), (40, 10, 200, 90)):
            raw = saved(Image.new("CMYK", (32, 32), inks), name, icc_profile=profiles.INKS, **options(name))
            yield f"CMYK {name} {inks}", raw, name.lower()
