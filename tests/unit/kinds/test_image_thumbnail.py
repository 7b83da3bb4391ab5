"""Thumbnails of real pictures in every format and mode, and of bytes that only look like one."""

from base64 import b64decode, b64encode
from contextlib import suppress
from io import BytesIO
from random import Random
from typing import Any

import pytest
from PIL import Image

from sluice.errors import BadInput
from sluice.kinds.image_thumbnail import Thumbnail, thumbnail
from sluice.testing import run_handler

RED, BLUE = (200, 30, 30), (20, 20, 220)


def encoded(image: Image.Image, name: str = "PNG", **options: Any) -> str:
    """Encode a picture as a client sends it."""
    file = BytesIO()
    image.save(file, name, **options)
    return b64encode(file.getvalue()).decode()


def two_halves() -> Image.Image:
    """Make a picture that is blue on the left and red on the right."""
    image = Image.new("RGB", (800, 400), RED)
    image.paste(BLUE, (0, 0, 400, 400))
    return image


def shrunk(image: str, **options: Any) -> tuple[Thumbnail, Image.Image]:
    """Run the handler; return its answer, and the picture in it."""
    answer = run_handler(thumbnail, {"image": image, **options})
    raw = b64decode(answer.image)
    assert len(raw) == answer.bytes
    return answer, Image.open(BytesIO(raw))


def near(colour: Any, wanted: tuple[int, ...]) -> bool:
    """Tell whether colours are equal but for what a lossy format changes."""
    return all(abs(one - other) < 16 for one, other in zip(colour, wanted, strict=True))


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("wanted", ["png", "jpeg", "webp"])
def test_fits_any_picture_into_the_box(source: str, wanted: str) -> None:
    answer, picture = shrunk(encoded(two_halves(), source), width=100, height=200, format=wanted)
    assert picture.size == (answer.width, answer.height) == (100, 50)
    assert (picture.format or "").lower() == answer.format == wanted
    assert (answer.source.width, answer.source.height, answer.source.format) == (800, 400, source.lower())
    assert near(picture.convert("RGB").getpixel((10, 25)), BLUE)
    assert near(picture.convert("RGB").getpixel((90, 25)), RED)


def test_by_default_it_is_a_webp_of_256_pixels() -> None:
    answer, _ = shrunk(encoded(two_halves()))
    assert (answer.width, answer.height, answer.format) == (256, 128, "webp")


def test_never_enlarges() -> None:
    answer, _ = shrunk(encoded(Image.new("RGB", (3, 2))), width=4096, height=4096)
    assert (answer.width, answer.height) == (3, 2)


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
def test_turns_a_picture_upright_and_forgets_its_metadata(source: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright: left becomes top
    exif[0x010E] = "where I live"
    answer, picture = shrunk(encoded(two_halves(), source, exif=exif), width=300, height=100, format="png")
    assert (answer.source.width, answer.source.height) == (400, 800)
    assert picture.size == (50, 100)
    assert near(picture.convert("RGB").getpixel((25, 10)), BLUE)
    assert near(picture.convert("RGB").getpixel((25, 90)), RED)
    assert not picture.getexif()


def test_takes_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 20), RED), Image.new("RGB", (20, 20), BLUE)]
    _, picture = shrunk(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), format="png")
    assert getattr(picture, "n_frames", 1) == 1
    assert near(picture.convert("RGB").getpixel((5, 5)), RED)


@pytest.mark.parametrize(
    ("mode", "source"),
    [
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("P", "PNG"),
        ("L", "PNG"),
        ("1", "PNG"),
        ("F", "TIFF"),
        ("I", "TIFF"),
    ],
)
@pytest.mark.parametrize("wanted", ["png", "jpeg", "webp"])
def test_takes_every_kind_of_colour(mode: str, source: str, wanted: str) -> None:
    _, picture = shrunk(encoded(two_halves().convert(mode), source), width=80, format=wanted)
    assert picture.size == (80, 40)


def test_sixteen_bits_of_grey_become_eight() -> None:
    _, picture = shrunk(encoded(Image.new("I;16", (20, 20), 0x8000)), format="png")
    assert picture.getpixel((5, 5)) == 0x80


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_keeps_what_is_transparent_and_makes_it_white_in_a_jpeg(mode: str) -> None:
    clear = encoded(
        Image.new("RGBA", (20, 20), (0, 0, 0, 0)).convert(mode), "TIFF" if mode == "PA" else "PNG"
    )
    for wanted, colour in (("png", (0, 0, 0, 0)), ("webp", (0, 0, 0, 0)), ("jpeg", (255, 255, 255))):
        _, picture = shrunk(clear, format=wanted)
        assert near(picture.getpixel((5, 5)), colour)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("%%%%", "Send base64"),
        ("äöüß", "Send base64"),
        ("aGVsbG8=", "none of the pictures that are read"),
        (b64encode(b"%PDF-1.7 nothing").decode(), "a PDF, which is not read"),
        (encoded(two_halves(), "JPEG")[:400], "damaged"),
        (encoded(two_halves(), "PNG")[:400], "damaged"),
        (encoded(Image.new("1", (9_000, 9_000))), "too many pixels"),
        (encoded(Image.new("1", (20_000, 20_000))), "too many pixels"),
    ],
    ids=["punctuation", "umlauts", "text", "pdf", "jpeg cut off", "png cut off", "large", "bomb"],
)
def test_refuses_what_is_no_picture_and_says_why(image: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        run_handler(thumbnail, {"image": image})


def test_refuses_to_make_a_thumbnail_that_is_too_large_to_send() -> None:
    noise = Image.frombytes("RGB", (900, 900), Random(1).randbytes(900 * 900 * 3))
    with pytest.raises(BadInput, match="ask for a smaller one"):
        run_handler(thumbnail, {"image": encoded(noise, "BMP"), "width": 900, "height": 900, "format": "png"})


def test_want_of_memory_is_not_the_pictures_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, *_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.Image.Image.thumbnail", refuse)
    with pytest.raises(MemoryError):
        run_handler(thumbnail, {"image": encoded(two_halves())})


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"height": 4097}, {"format": "gif"}, {"width": "9"}, {"x": 1}]
)
def test_refuses_options_out_of_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        run_handler(thumbnail, {"image": encoded(two_halves())} | wrong)


def test_its_example_runs() -> None:
    for example in thumbnail.input_model.model_json_schema()["examples"]:
        assert run_handler(thumbnail, example).format == "webp"


@pytest.mark.parametrize("seed", range(60))
def test_damaged_pictures_are_refused_or_shrunk_but_never_fail_otherwise(seed: int) -> None:
    rng = Random(seed)
    name = rng.choice(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO"])
    raw = bytearray(b64decode(encoded(two_halves().resize((60, 30)), name)))
    for _ in range(rng.randint(1, 30)):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    with suppress(BadInput):
        assert run_handler(thumbnail, {"image": b64encode(raw).decode()}).width <= 256
