"""Run `image.thumbnail` on the bytes of a file."""

from __future__ import annotations

from base64 import b64decode, b64encode
from io import BytesIO
from typing import Any

from PIL import Image

from sluice.kinds.image_thumbnail import Thumbnail, thumbnail
from sluice.testing import run_handler


def shrunk(raw: bytes, **options: Any) -> tuple[Thumbnail, Image.Image]:
    """Run the handler; return its answer, and the picture in it, which is a PNG unless the options say otherwise."""
    given = {"image": b64encode(raw).decode(), "format": "png", **options}
    answer = run_handler(thumbnail, given)
    file = b64decode(answer.image)
    assert len(file) == answer.bytes
    return answer, Image.open(BytesIO(file))


def pixel(raw: bytes, at: tuple[int, int] = (0, 0), **options: Any) -> tuple[int, ...]:
    """Return a pixel of the thumbnail, as RGBA."""
    _, picture = shrunk(raw, **options)
    found = picture.convert("RGBA").getpixel(at)
    assert isinstance(found, tuple)
    return tuple(map(int, found))
