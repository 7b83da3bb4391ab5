"""Kinds that cost next to nothing, with an input of many types: thousands of their jobs are submitted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sluice import Context, RetryPolicy, handler

ONCE = RetryPolicy(max_attempts=1)
Word = Annotated[str, Field(max_length=40)]


class Part(BaseModel):
    """A part of the input."""

    model_config = ConfigDict(extra="forbid")

    name: Word
    share: float = Field(0.5, ge=0, le=1)


class Everything(BaseModel):
    """A field of each type that clients use."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "some"}]})

    text: str = Field(max_length=400)
    whole: int = Field(0, ge=-(2**53) + 1, le=2**53 - 1)
    sure: bool = False
    colour: Literal["red", "green"] = "red"
    day: date | None = None
    moment: datetime | None = None
    number: UUID | None = None
    words: list[Word] = Field([], max_length=5)
    counts: dict[Word, int] = Field({}, max_length=5)
    part: Part | None = None


@handler("fuzz.echo", searchable=("colour",), retry=ONCE)
async def echo(given: Everything, context: Context) -> Everything:
    """Give back what came in, and say so."""
    context.log.info("given back", extra={"text": given.text[:40]})
    return given


@handler("fuzz.pure", cache_s=60, retry=ONCE)
async def pure(given: Everything) -> Everything:
    """Give it back as pure work, which is done once."""
    return given


@handler("fuzz.fails", retry=ONCE)
async def fails(given: Part) -> Part:
    """Fail, with the words that came in."""
    raise ValueError(given.name)
