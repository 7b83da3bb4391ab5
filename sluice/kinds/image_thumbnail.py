"""`image.thumbnail`: scale a picture down. A real example: heavy, pure, and given untrusted bytes."""

from __future__ import annotations

import binascii
import warnings
from base64 import b64decode, b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sluice import GiveUp, handler

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 64_000_000
"""Most pixels to decode (256 MB as RGBA); checked against the header before anything is decoded."""

MAX_INPUT = 12 * 1024 * 1024
MAX_THUMBNAIL = 700 * 1024
"""Most bytes of a thumbnail, so that its base64 fits into an output."""

READS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats to try: the fewer, the fewer decoders untrusted bytes can reach."""

ORIENTATION = 0x0112
SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

EXAMPLE = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR42mM8ISfHwMDAxMDAwMDAAAANBAEIf62CUQAAAABJRU5ErkJggg=="

Format = Literal["png", "jpeg", "webp"]
Side = Annotated[int, Field(ge=1, le=4096)]
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class Picture(BaseModel):
    """A picture and the box that its thumbnail has to fit."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"examples": [{"image": EXAMPLE, "width": 64, "height": 64, "format": "webp"}]},
    )

    image: Base64 = Field(
        min_length=4,
        max_length=MAX_INPUT,
        description="The picture: PNG, JPEG, WebP, GIF, BMP or TIFF, in base64",
    )
    width: Side = Field(default=256, description="Greatest width in pixels; pictures are never enlarged")
    height: Side = Field(default=256, description="Greatest height in pixels; pictures are never enlarged")
    format: Format = Field(default="webp", description="Format of the thumbnail")


class Source(BaseModel):
    """What the picture was, upright."""

    width: int = Field(description="Width in pixels")
    height: int = Field(description="Height in pixels")
    format: str = Field(description="Its format", examples=["png"])


class Thumbnail(BaseModel):
    """The picture scaled down."""

    image: Base64 = Field(description="The thumbnail in base64")
    width: int = Field(description="Width in pixels", examples=[256])
    height: int = Field(description="Height in pixels", examples=[171])
    format: Format = Field(description="Its format")
    bytes: int = Field(description="Size of the file in bytes")
    source: Source = Field(description="What the picture was")


@handler("image.thumbnail", runs_in="process", timeout_s=60, cache_s=3600, max_input=MAX_INPUT)
def thumbnail(picture: Picture) -> Thumbnail:
    """Scale a picture down to fit a box: upright, its first frame, without its metadata."""
    raw = _decode(picture.image)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _thumbnail(raw, picture)
    except (GiveUp, MemoryError):
        raise
    except Exception as error:
        # decoders fail in many ways on damaged bytes, and would fail again
        raise GiveUp(f"The picture is damaged: {error}") from error


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GiveUp(f"'image' is not base64: {error}") from error


def _thumbnail(raw: bytes, picture: Picture) -> Thumbnail:
    image = _open(raw)
    sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
    width, height = reversed(image.size) if sideways else image.size
    source = Source(width=width, height=height, format=(image.format or "").lower())
    small = _scale(image, (picture.width, picture.height), sideways)
    encoded = _encode(small, picture.format)
    return Thumbnail(
        image=b64encode(encoded).decode(),
        width=small.width,
        height=small.height,
        format=picture.format,
        bytes=len(encoded),
        source=source,
    )


def _open(raw: bytes) -> Image:
    """Open the picture, reading only its header."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(raw), formats=READS)
    except UnidentifiedImageError:
        raise GiveUp(f"'image' is none of the pictures that are read: {', '.join(READS)}.") from None
    except Image.DecompressionBombError as error:
        raise GiveUp(_too_large(str(error))) from None
    if image.width * image.height > MAX_PIXELS:
        raise GiveUp(_too_large(f"it has {image.width} x {image.height}"))
    return image


def _too_large(what: str) -> str:
    return f"The picture has too many pixels, at most {MAX_PIXELS} are decoded: {what}."


def _scale(image: Image, box: tuple[int, int], sideways: bool) -> Image:
    """Turn the picture upright, and make it no larger than the box."""
    from PIL import ImageOps

    width, height = reversed(box) if sideways else box
    image.draft(None, (2 * width, 2 * height))  # JPEG alone can decode at a fraction of its size
    orientation = image.getexif()
    small = _to_true_colour(image)
    small.thumbnail((width, height), reducing_gap=2.0)
    small.getexif().update({ORIENTATION: orientation.get(ORIENTATION, 1)})
    return ImageOps.exif_transpose(small)


def _to_true_colour(image: Image) -> Image:
    """Convert to L, RGB or RGBA, which all output formats take and which scale without stripes."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("L", "RGB", "RGBA"):
        return image.convert(image.mode)
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "F") else "RGB")


def _encode(image: Image, name: Format) -> bytes:
    from PIL import Image

    if name == "jpeg" and image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    file = BytesIO()
    image.info = {}
    image.save(file, name.upper(), **({"optimize": True} if name == "png" else {"quality": 82}), exif=b"")
    raw = file.getvalue()
    if len(raw) > MAX_THUMBNAIL:
        raise GiveUp(
            f"The thumbnail has {len(raw)} bytes, at most {MAX_THUMBNAIL} are sent: ask for a smaller one."
        )
    return raw
