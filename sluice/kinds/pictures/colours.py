"""Colours of every kind of picture: first to what scales without stripes, then, when it is small, to sRGB."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Literal

from PIL import Image, ImageCms
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, EXTRASAMPLES, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from sluice.errors import BadInput

Profile = Literal["none", "applied", "ignored"]

_KEY_SCALE = {"L;2": 85, "L;4": 17}
"""Grey of few bits is spread over eight when it is decoded; the transparent one among them has to be as well."""

_MODES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
"""Mode of the colours that a profile describes, by the name of its colour space."""


def transparent_colour(image: Image.Image) -> None:
    """Make the colour that stands for transparency one of the decoded colours. Call it before the picture is loaded."""
    key = image.info.get("transparency")
    layout = image.tile[0].args if isinstance(image, PngImageFile) and image.tile else None
    if isinstance(key, tuple) and layout == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif isinstance(key, int) and isinstance(layout, str) and layout in _KEY_SCALE:
        image.info["transparency"] = key * _KEY_SCALE[layout] & 255


def scalable(image: ImageFile) -> Image.Image:
    """Convert to L, LA, RGB, RGBA, CMYK or LAB. Raises BadInput for numbers that are no brightness."""
    if image.mode.startswith("I;16"):
        return _narrow(image)
    if image.mode in ("I", "F"):
        return _stretch(image)
    if image.mode == "La":
        return image.convert("LA")
    if _may_be_filling(image) and is_invisible(image):
        return image.convert("RGB")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    if image.mode == "1":
        return image.convert("L")
    if isinstance(image, GifImageFile):
        return _uncovered(image)
    return image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")


def is_invisible(image: Image.Image) -> bool:
    """Tell whether an alpha channel hides all of a loaded picture."""
    return image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def _may_be_filling(image: ImageFile) -> bool:
    """Tell whether programs that know no alpha leave bytes where this file has it: in a BMP, and undeclared in a TIFF."""
    return image.format == "BMP" or (
        image.format == "TIFF" and EXTRASAMPLES not in getattr(image, "tag_v2", {})
    )


def profile_of(image: ImageFile) -> bytes | None:
    """Return the ICC profile of a picture; None if it has none, nothing if it cannot be read."""
    return (image.info["icc_profile"] or b"") if "icc_profile" in image.info else None


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, Profile]:
    """Return the picture as L, RGB or RGBA in sRGB, and what became of its ICC profile."""
    used: Profile = "none"
    if profile is not None:
        try:
            image, used = _apply(image, ImageCms.ImageCmsProfile(BytesIO(profile))), "applied"
        except (ImageCms.PyCMSError, OSError, ValueError):
            used = "ignored"
    if image.mode in ("L", "RGB", "RGBA"):
        return image, used
    return image.convert("RGBA" if image.mode == "LA" else "RGB"), used


def _apply(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Convert to sRGB. Raises ValueError if the profile is one of other colours."""
    described = _MODES.get(profile.profile.xcolor_space)
    grey = image.mode in ("L", "LA")
    if (
        described is None
        or image.mode == "LAB"
        or (described == "CMYK") != (image.mode == "CMYK")
        or (described == "L" and not grey)
    ):
        raise ValueError(f"a profile of {profile.profile.xcolor_space} for a picture of {image.mode}")
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image.convert(described), profile, srgb, outputMode="RGB")
    assert converted is not None  # noqa: S101  it is None only where the picture is changed in place
    result = converted.convert("L") if grey else converted
    if image.mode in ("LA", "RGBA"):
        result.putalpha(image.getchannel("A"))
    return result


def _uncovered(image: GifImageFile) -> Image.Image:
    """Make transparent what the first frame of a GIF leaves uncovered: Pillow gives it the first colour of the palette."""
    whole = image.convert("L" if image.mode == "L" else "RGB")
    if image.dispose_extent not in (None, (0, 0, *image.size)):
        covered = Image.new("L", image.size)
        covered.paste(255, image.dispose_extent)
        whole.putalpha(covered)
    return whole


def _narrow(image: ImageFile) -> Image.Image:
    """Bring 16 bits of grey to eight, and their transparent one to an alpha channel."""
    bits = _tag(image, BITSPERSAMPLE, 16)
    white_is_zero = _tag(image, PHOTOMETRIC_INTERPRETATION, 1) == 0
    key = image.info.get("transparency")
    wide = image.convert("I")
    eight = [min(value >> (bits - 8), 255) for value in range(1 << 16)]
    grey = wide.point([255 - value for value in eight] if white_is_zero else eight, "L")
    if isinstance(key, int):
        grey.putalpha(wide.point([0 if value == key else 255 for value in range(1 << 16)], "L"))
    return grey


def _stretch(image: ImageFile) -> Image.Image:
    """Bring numbers of 32 bits to eight. Those of 0 to 1, or whole ones of 0 to 255, are taken as they are.

    No file says what white is among others, so the least becomes black and the greatest white.
    """
    black, white = _range(image)
    factor = 255 / (white - black)
    offset = 0.5 - black * factor
    return image.point(lambda value: value * factor + offset).convert("L")


def _range(image: ImageFile) -> tuple[float, float]:
    low, high = _extrema(image)
    if math.isnan(low):  # it is, if the first number is none; others that are none are passed over
        image.putpixel((0, 0), 0.0)
        low, high = _extrema(image)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadInput("The picture holds infinite numbers: clip them, or send 8 or 16 bits a sample.")
    if image.mode == "I" and low < 0 and _tag(image, SAMPLEFORMAT, 1) == 1:
        raise BadInput("The picture holds numbers above 2,147,483,647: send 8 or 16 bits a sample.")
    usual = 1.0 if image.mode == "F" else 255.0
    if low >= 0 and high <= usual:
        return 0.0, usual
    return (low, high) if low < high else (min(low, 0.0), max(low, 0.0))


def _extrema(image: ImageFile) -> tuple[float, float]:
    low, high = image.getextrema()
    assert isinstance(low, int | float) and isinstance(high, int | float)  # noqa: S101, PT018  it has one channel
    return float(low), float(high)


def _tag(image: ImageFile, number: int, default: int) -> int:
    """Read a tag of a TIFF, of its first sample."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    first = value[0] if isinstance(value, tuple) else value
    return int(first)
