"""Base64 as people send it is taken; anything else is refused when it is submitted, in words that help."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

import pytest
from pydantic import ValidationError

from api.jobs.input_check import runs_python
from sluice.errors import BadInput
from sluice.kinds.image_thumbnail import Picture
from sluice.kinds.pictures.base64_text import decode

RAW = Random(1).randbytes(300) + b"\xfb\xff\xbf" * 5
PLAIN = base64.b64encode(RAW).decode()

SENT: dict[str, Callable[[bytes], str]] = {
    "plain": lambda raw: base64.b64encode(raw).decode(),
    "lines": lambda raw: base64.encodebytes(raw).decode(),
    "CRLF": lambda raw: base64.encodebytes(raw).decode().replace("\n", "\r\n"),
    "blanks": lambda raw: (
        " " + " ".join(base64.b64encode(raw).decode()[at : at + 60] for at in range(0, 500, 60))
    ),
    "tabs and a line break behind": lambda raw: "\t" + base64.b64encode(raw).decode() + "\n",
    "no-break spaces": lambda raw: "\xa0" + base64.b64encode(raw).decode(),
    "data URI": lambda raw: "data:image/jpeg;base64," + base64.b64encode(raw).decode(),
    "data URI with parameters": lambda raw: (
        "DATA:image/svg+xml;charset=utf-8;name=a.png;Base64, " + base64.b64encode(raw).decode()
    ),
    "data URI without a type": lambda raw: "data:;base64," + base64.b64encode(raw).decode(),
    "blanks before a data URI": lambda raw: " \n data:image/png;base64," + base64.b64encode(raw).decode(),
    "too little padding": lambda raw: base64.b64encode(raw).decode().replace("==", "="),
    "URL-safe": lambda raw: base64.urlsafe_b64encode(raw).decode(),
    "without padding": lambda raw: base64.b64encode(raw).decode().rstrip("="),
    "URL-safe without padding": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    "padding in lines of its own": lambda raw: base64.b64encode(raw).decode().replace("=", "\n="),
}


@pytest.mark.parametrize("length", [len(RAW), len(RAW) - 1, len(RAW) - 2])
@pytest.mark.parametrize("form", SENT)
def test_is_taken_in_every_form(form: str, length: int) -> None:
    text = SENT[form](RAW[:length])
    assert decode(Picture(image=text).image) == RAW[:length]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%%%%",
        "äöüß",
        "https://example.org/photo.jpg?size=2",
        "{'image': 'photo.jpg'}",
        PLAIN[:40] + "=" + PLAIN[40:],
        PLAIN[:40] + "===",
        PLAIN[:40] + "*" + PLAIN[41:],
        "data:image/svg+xml,%3Csvg%3E",
        "data:image/png;base64," + PLAIN + "," + PLAIN,
        "text:image/png;base64," + PLAIN,
        PLAIN + "\0",
        "data:image/png" + ";a=b" * 100 + ";base64," + PLAIN,
    ],
)
def test_garbage_is_refused_when_it_is_submitted(text: str) -> None:
    with pytest.raises(ValidationError, match=r"Send base64, as `base64 photo\.jpg` prints it"):
        Picture(image=text)


def test_what_was_cut_off_within_a_character_is_refused() -> None:
    with pytest.raises(BadInput, match=r"not base64, or was cut off.* Send base64"):
        decode(Picture(image="abcde").image)


def test_an_api_checks_it_without_running_python() -> None:
    assert not runs_python(Picture)


def test_the_schema_says_what_is_taken() -> None:
    told = Picture.model_json_schema()["properties"]["image"]
    assert told["contentEncoding"] == "base64"
    assert told["pattern"].startswith("^")
