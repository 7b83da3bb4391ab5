"""Base64 as people send it: in lines, as a data URI, with the URL-safe alphabet, without padding. Garbage is refused."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Annotated

from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema

from sluice.errors import BadInput

PATTERN = r"^\s*(?:[dD][aA][tT][aA]:[^,]{0,256};[bB][aA][sS][eE]64,)?[A-Za-z0-9+/_\s-]+(?:=\s*){0,2}$"
"""Matched in linear time and without Python, so that an api may check it before it answers."""

REMEDY = (
    "Send base64, as `base64 photo.jpg` prints it: A-Z, a-z, 0-9, + and / (or - and _), with or without line breaks, "
    "padding and 'data:image/jpeg;base64,' in front, and nothing else"
)

_STANDARD = str.maketrans("-_", "+/")

SentBase64 = Annotated[
    str,
    Field(min_length=4, pattern=PATTERN, json_schema_extra={"contentEncoding": "base64"}),
    GetPydanticSchema(
        lambda source, handler: core_schema.custom_error_schema(
            handler(source), custom_error_type="not_base64", custom_error_message=REMEDY
        )
    ),
]
"""A string of an input model that `decode` takes; any other is refused with REMEDY when it is submitted."""


def decode(text: str) -> bytes:
    """Return what a SentBase64 holds. Raises BadInput if characters are missing."""
    body = "".join(text.rpartition(",")[2].split()).rstrip("=").translate(_STANDARD)
    try:
        return b64decode(body + "=" * (-len(body) % 4), validate=True)
    except binascii.Error as error:
        raise BadInput(f"'image' is not base64, or was cut off: {error}. {REMEDY}.") from None
