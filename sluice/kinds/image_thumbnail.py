"""`image.thumbnail`: scale a picture down. A real example: heavy, pure, and given untrusted bytes."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sluice import handler
from sluice.errors import BadInput
from sluice.kinds.pictures.base64_text import SentBase64, decode

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_INPUT = 12 * 1024 * 1024
MAX_THUMBNAIL = 700 * 1024
"""Most bytes of a thumbnail, so that its base64 fits into an output."""

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

    image: SentBase64 = Field(
        description="The picture: PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or ICO, in base64. Line breaks, a data URI, the "
        "URL-safe alphabet and missing padding are fine",
    )
    width: Side = Field(default=256, description="Greatest width in pixels; pictures are never enlarged")
    height: Side = Field(default=256, description="Greatest height in pixels; pictures are never enlarged")
    format: Format = Field(default="webp", description="Format of the thumbnail")


class Source(BaseModel):
    """What the picture was, upright."""

    width: int = Field(description="Width in pixels")
    height: int = Field(description="Height in pixels")
    format: str = Field(description="Its format", examples=["png"])
    more_frames: bool = Field(
        description="Whether it has further frames or pages; the thumbnail shows the first"
    )
    profile: Literal["none", "applied", "ignored"] = Field(
        description="Its colour profile: applied, so the thumbnail is sRGB; or ignored, as it is damaged or for other colours"
    )


class Thumbnail(BaseModel):
    """The picture scaled down."""

    image: Base64 = Field(description="The thumbnail in base64")
    width: int = Field(description="Width in pixels", examples=[256])
    height: int = Field(description="Height in pixels", examples=[171])
    format: Format = Field(description="Its format")
    bytes: int = Field(description="Size of the file in bytes")
    source: Source = Field(description="What the picture was")


@handler("image.thumbnail", runs_in="process", timeout_s=60, cache_s=3600, max_input=MAX_INPUT, version=3)
def thumbnail(picture: Picture) -> Thumbnail:
    """Scale a picture down to fit a box: upright, in sRGB, its first frame, without its metadata."""
    raw = decode(picture.image)
    from sluice.kinds.pictures.opening import bounded

    try:
        with bounded():
            return _thumbnail(raw, picture)
    except (BadInput, MemoryError):
        raise
    except Exception as error:
        # decoders fail in many ways on damaged bytes, and would fail again
        what = str(error) or type(error).__name__
        raise BadInput(
            f"The picture is damaged, cut off, or of a rare kind: {what}. Send the whole file, or else save it anew as PNG or JPEG."
        ) from error


def _thumbnail(raw: bytes, picture: Picture) -> Thumbnail:
    from sluice.kinds.pictures import colours, opening

    image = opening.open_picture(raw)
    more_frames = opening.has_more_frames(image)
    width, height = image.size
    _load(image, max(picture.width, picture.height))
    orientation = opening.orientation(image)
    sideways = orientation in opening.SIDEWAYS
    icc_profile = colours.profile_of(image)
    small = colours.scalable(image)
    small.thumbnail(
        (picture.height, picture.width) if sideways else (picture.width, picture.height), reducing_gap=2.0
    )
    small, profile = colours.to_srgb(small, icc_profile)
    small = _turn_upright(small, orientation)
    encoded = _encode(small, picture.format)
    return Thumbnail(
        image=b64encode(encoded).decode(),
        width=small.width,
        height=small.height,
        format=picture.format,
        bytes=len(encoded),
        source=Source(
            width=height if sideways else width,
            height=width if sideways else height,
            format="jpeg" if image.format == "MPO" else str(image.format).lower(),
            more_frames=more_frames,
            profile=profile,
        ),
    )


def _load(image: ImageFile, side: int) -> None:
    """Decode it; JPEG alone can be decoded at a fraction of its size. Raises MemoryError, and what decoders raise."""
    image.draft(None, (2 * side, 2 * side))
    try:
        image.load()
    except Exception:
        bytearray(12 * image.width * image.height)  # some decoders call it damage if there is no memory
        raise


def _turn_upright(image: Image, orientation: int) -> Image:
    from PIL import ExifTags, ImageOps

    image.info = {}
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(image)


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
        raise BadInput(
            f"The thumbnail has {len(raw)} bytes, at most {MAX_THUMBNAIL} are sent: ask for a smaller one."
        )
    return raw
