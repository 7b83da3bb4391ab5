"""What a picture looks like to libvips, which shares no code with Pillow but the decoders of JPEG, WebP and AVIF."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from infra.local.programs import apt_line, find, missing

needs_oracle = pytest.mark.skipif(
    bool(missing(["vipsthumbnail"])), reason=f"libvips is not installed: {apt_line(['vipsthumbnail'])}"
)


def upright(raw: bytes, suffix: str, directory: Path, side: int = 1000) -> Image.Image:
    """Return the picture turned upright, at most so wide and high."""
    return _made(raw, suffix, directory, ["vipsthumbnail", "IN", "--size", f"{side}x{side}>", "-o", "OUT"])


def in_srgb(raw: bytes, suffix: str, directory: Path) -> Image.Image:
    """Return the picture with its profile converted to sRGB."""
    return _made(raw, suffix, directory, ["vips", "icc_transform", "IN", "OUT", "srgb", "--embedded"])


def difference(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """Return the greatest and the mean difference of a channel, 0 to 255; what is transparent has no colour."""
    assert one.size == other.size
    channels = ImageChops.difference(_seen(one), _seen(other))
    statistics = ImageStat.Stat(channels)
    return max(high for _, high in statistics.extrema), max(statistics.mean)


def _seen(image: Image.Image) -> Image.Image:
    premultiplied = image.convert("RGBA").convert("RGBa")
    return Image.frombytes("RGBA", image.size, premultiplied.tobytes())


def _made(raw: bytes, suffix: str, directory: Path, command: list[str]) -> Image.Image:
    given, made = directory / f"given.{suffix}", directory / "made.png"
    given.write_bytes(raw)
    names = {"IN": str(given), "OUT": f"{made}[strip]"}
    program, *arguments = (names.get(word, word) for word in command)
    done = subprocess.run([str(find(program)), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(made) as image:
        image.load()
    return image
