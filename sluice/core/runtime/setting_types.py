"""The types of settings: numbers within bounds, words separated by commas, addresses that hold a password."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from sluice.handler import LONGEST_KEEP_S


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _strip(value: object) -> object:
    """Remove white space: a secret that was written to a file often ends in a line break."""
    return value.strip() if isinstance(value, str) else value


Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Mib = Annotated[int, Field(ge=64, le=16_384)]
Kept = Annotated[float, Field(gt=0, le=LONGEST_KEEP_S)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Address = Annotated[SecretStr, BeforeValidator(_strip)]
