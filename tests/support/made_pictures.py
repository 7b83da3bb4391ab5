"""Picture files written by hand, byte by byte, where Pillow cannot write what others do."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 48, 32
RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 60), (30, 50, 210), (230, 220, 60)
"""The quarters of `quarters()`: above left and right, below left and right."""

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""Colour types of PNG."""

ORIENTATION = 0x0112


def quarters(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Make a picture that looks different in each of the eight orientations."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    """Write a picture as Pillow does."""
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    """Write EXIF data that holds this orientation alone."""
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", ORIENTATION, 3, 1, orientation, 0, 0)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Write a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    size: tuple[int, int], bits: int, colour_type: int, row: bytes, chunks: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """Write a PNG whose rows are all the same, with chunks before its pixels."""
    width, height = size
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height, 9)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def with_png_chunk(raw: bytes, name: bytes, data: bytes) -> bytes:
    """Put a chunk behind the header of a PNG."""
    return raw[:33] + png_chunk(name, data) + raw[33:]


def tiff(tags: Mapping[int, Sequence[int]], data: bytes, *, order: str = "<", next_page: int = 0) -> bytes:
    """Write a TIFF of one strip, without compression; values of tags are 16 bits wide, or 32 where they have to be."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = {**tags, 273: [8], 279: [len(data)]}
    directory_at = 8 + len(data) + len(data) % 2
    extra_at = directory_at + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack(order + "H", len(entries)), b""
    for number, values in sorted(entries.items()):
        wide = max(values) > 0xFFFF or number in (273, 279)
        packed = struct.pack(f"{order}{len(values)}{'I' if wide else 'H'}", *values)
        directory += struct.pack(order + "HHI", number, 4 if wide else 3, len(values))
        if len(packed) > 4:
            directory += struct.pack(order + "I", extra_at + len(extra))
            extra += packed
        else:
            directory += packed.ljust(4, b"\0")
    directory += struct.pack(order + "I", next_page)
    return head + struct.pack(order + "I", directory_at) + data + b"\0" * (len(data) % 2) + directory + extra


def directory(tags: Mapping[int, int], *, order: str = "<", next_page: int = 0) -> bytes:
    """Write a directory of a TIFF whose values are one number of 16 bits each."""
    entries = [struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(tags.items())]
    return struct.pack(order + "H", len(entries)) + b"".join(entries) + struct.pack(order + "I", next_page)


def grey_tiff(
    values: Sequence[float],
    code: str,
    *,
    order: str = "<",
    white_is_zero: bool = False,
    sample_format: int = 1,
) -> bytes:
    """Write a TIFF with one row of grey samples, each packed with this code of `struct`."""
    bits = struct.calcsize(code) * 8
    tags = {256: [len(values)], 257: [1], 258: [bits], 259: [1], 262: [0 if white_is_zero else 1], 277: [1]}
    tags |= {278: [1], 339: [sample_format]}
    return tiff(tags, struct.pack(f"{order}{len(values)}{code}", *values), order=order)


def bmp_with_alpha(size: tuple[int, int], pixel: bytes) -> bytes:
    """Write a BMP of version 4, whose pixels are all this one: blue, green, red, alpha."""
    width, height = size
    data = pixel * width * height
    masks = struct.pack("<4I", 0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(data), 2835, 2835, 0, 0) + masks
    header += b"BGRs" + b"\0" * 48
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(data), 0, 0, 14 + 108) + header + data


def bmp_in_icon(side: int, pixel: bytes, mask: bytes) -> bytes:
    """Write a BMP as icons hold it: without its head, with a mask behind the pixels; all rows of the mask are this one."""
    header = struct.pack("<IiiHHIIiiII", 40, side, 2 * side, 1, 8 * len(pixel), 0, 0, 0, 0, 0, 0)
    return header + pixel * side * side + mask.ljust(4, b"\0") * side


def icon(*pictures: bytes, sizes: Sequence[int] = (16,)) -> bytes:
    """Write an ICO of PNG files or BMPs, each with the side that its entry claims."""
    head, at = struct.pack("<HHH", 0, 1, len(pictures)), 6 + 16 * len(pictures)
    for picture, side in zip(pictures, sizes, strict=True):
        head += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(picture), at)
        at += len(picture)
    return head + b"".join(pictures)
