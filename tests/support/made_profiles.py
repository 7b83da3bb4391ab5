"""ICC profiles written by hand: of RGB by a matrix, of grey by a curve, of CMYK by a table."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import product

Xyz = tuple[float, float, float]

WHITE: Xyz = (0.9642, 1.0, 0.8249)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def rgb_profile(red: Xyz, green: Xyz, blue: Xyz, gamma: float | None = None) -> bytes:
    """Write a profile of RGB with these primaries (XYZ under D50) and this gamma; None: the curve of sRGB."""
    curve = _curve(gamma)
    primaries = zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, (red, green, blue)), strict=True)
    curves = [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", b"XYZ ", b"mntr", [*primaries, *curves])


def grey_profile(gamma: float) -> bytes:
    """Write a profile of grey with this gamma."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", [(b"kTRC", _curve(gamma))])


def cmyk_profile(inks: Sequence[Xyz]) -> bytes:
    """Write a profile of CMYK by the Lab colours of its 16 overprints, black changing first, cyan last."""
    table = bytes(round(value) for lab in inks for value in (lab[0] * 2.55, lab[1] + 128, lab[2] + 128))
    ramp = bytes(range(256))
    matrix = b"".join(map(_s15, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + table + ramp * 3
    return _profile(b"CMYK", b"Lab ", b"prtr", [(name, lut) for name in (b"A2B0", b"A2B1", b"A2B2")])


def _profile(space: bytes, connection: bytes, device: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    text = b"made for tests"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" * 79
    tags = [(b"desc", description), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", _xyz(WHITE)), *tags]
    at = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags:
        padded = value + b"\0" * (-len(value) % 4)
        table += name + struct.pack(">II", at + len(data), len(value))
        data += padded
    head = struct.pack(">I4sI4s4s4s", at + len(data), b"\0" * 4, 0x02400000, device, space, connection)
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + b"".join(map(_s15, WHITE))
    return head.ljust(128, b"\0") + table + data


def _curve(gamma: float | None) -> bytes:
    if gamma is None:
        return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(_s15, _SRGB_CURVE))
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _xyz(value: Xyz) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_s15, value))


def _s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


DISPLAY_P3 = rgb_profile(
    (0.515121, 0.241196, -0.001053), (0.291977, 0.692245, 0.041885), (0.157104, 0.066574, 0.784073)
)
LIKE_ADOBE_RGB = rgb_profile(
    (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.2
)
SWAPPED = rgb_profile((0.14307, 0.06061, 0.7141), (0.38515, 0.71687, 0.09708), (0.43607, 0.22249, 0.01392))
"""As sRGB, with red and blue swapped: no two colours are mistaken for one another."""

INKS = cmyk_profile(
    [
        (100 * (1 - 0.3 * c) * (1 - 0.5 * m) * (1 - 0.08 * y) * (1 - 0.9 * k),
         (-35 * c + 70 * m - 5 * y) * (1 - k), (-45 * c - 5 * m + 90 * y) * (1 - k))
        for c, m, y, k in product((0, 1), repeat=4)
    ]
)  # fmt: skip
"""A press whose paper and inks are no pure colours."""
