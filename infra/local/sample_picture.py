"""A picture worth making smaller, drawn anew each time, and its preview in a terminal's characters."""

import io
import math
import random

from PIL import Image, ImageDraw, ImageFilter
from rich.color import Color
from rich.style import Style
from rich.text import Text

_SIZE = (960, 600)
_HORIZON = 380
_DUSK = ((24, 28, 84), (118, 62, 140), (240, 110, 96), (255, 196, 112))
_HILLS = ((92, 52, 110), (58, 36, 88), (28, 20, 56))

Rgb = tuple[int, int, int]


def sunset(seed: int) -> bytes:
    """Draw an evening over the sea as a JPEG; each seed has its own sun and hills."""
    chance = random.Random(seed)  # noqa: S311  scenery
    picture = Image.new("RGB", _SIZE)
    draw = ImageDraw.Draw(picture)
    _draw_sky(draw)
    picture = _with_sun(picture, chance.randint(200, 760), chance.randint(190, 300))
    _draw_hills(ImageDraw.Draw(picture), chance)
    _reflect(picture)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def preview(image: bytes, columns: int = 56) -> Text:
    """Return the picture as coloured half blocks, two pixels per character."""
    with Image.open(io.BytesIO(image)) as opened:
        rows = max(1, round(columns * opened.height / opened.width / 2))
        small = opened.convert("RGB").resize((columns, rows * 2), Image.Resampling.LANCZOS)
    lines = [_half_blocks(small, row) for row in range(rows)]
    return Text("\n").join(lines)


def _half_blocks(picture: Image.Image, row: int) -> Text:
    line = Text("  ")
    for column in range(picture.width):
        upper, lower = _pixel(picture, column, 2 * row), _pixel(picture, column, 2 * row + 1)
        line.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
    return line


def _pixel(picture: Image.Image, x: int, y: int) -> Rgb:
    pixel = picture.getpixel((x, y))
    assert isinstance(pixel, tuple)  # noqa: S101  an RGB image has no other pixels
    red, green, blue = pixel
    return int(red), int(green), int(blue)


def _draw_sky(draw: ImageDraw.ImageDraw) -> None:
    for y in range(_HORIZON):
        draw.line([(0, y), (_SIZE[0], y)], fill=_shade(y / _HORIZON))


def _shade(height: float) -> Rgb:
    place = height * (len(_DUSK) - 1)
    index = min(int(place), len(_DUSK) - 2)
    return _mix(_DUSK[index], _DUSK[index + 1], place - index)


def _mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _with_sun(picture: Image.Image, x: int, y: int) -> Image.Image:
    glow = Image.new("L", _SIZE)
    ImageDraw.Draw(glow).ellipse((x - 150, y - 150, x + 150, y + 150), fill=110)
    glow = glow.filter(ImageFilter.GaussianBlur(60))
    ImageDraw.Draw(glow).ellipse((x - 52, y - 52, x + 52, y + 52), fill=255)
    return Image.composite(Image.new("RGB", _SIZE, (255, 244, 206)), picture, glow)


def _draw_hills(draw: ImageDraw.ImageDraw, chance: random.Random) -> None:
    for layer, colour in enumerate(_HILLS):
        phase, top = chance.uniform(0, 6), _HORIZON - 70 + 28 * layer
        ridge = [(x, top + _wave(x, phase, layer)) for x in range(0, _SIZE[0] + 8, 8)]
        draw.polygon([(0, _HORIZON), *ridge, (_SIZE[0], _HORIZON)], fill=colour)


def _wave(x: int, phase: float, layer: int) -> float:
    return 26 * math.sin(x / 110 + phase) + 12 * math.sin(x / (37 + 9 * layer) + 2 * phase)


def _reflect(picture: Image.Image) -> None:
    depth = _SIZE[1] - _HORIZON
    sea = picture.crop((0, _HORIZON - depth, _SIZE[0], _HORIZON)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    sea = Image.blend(sea, Image.new("RGB", sea.size, (18, 22, 66)), 0.45).filter(ImageFilter.BoxBlur(2))
    picture.paste(sea, (0, _HORIZON))
    for y in range(depth):
        shift = round((2 + y / 14) * math.sin(y / 3.1))
        picture.paste(sea.crop((0, y, _SIZE[0], y + 1)), (shift, _HORIZON + y))
