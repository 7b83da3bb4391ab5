"""Models of kinds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class KindTimes(BaseModel):
    """How long the newest runs of a kind took, in seconds, of all tenants together."""

    runs: int = Field(description="How many: the newest of each consumer")
    mean_s: float
    p50_s: float
    p90_s: float


class KindDocument(BaseModel):
    """A kind as the catalogue shows it."""

    kind: str
    description: str
    lane: str
    lanes: list[str] | None = Field(
        description="Lanes that a submit may name, its own first; others need the scope `admin`; null: any lane"
    )
    runs_in: Literal["loop", "thread", "process"]
    timeout_s: float
    max_attempts: int
    cache_s: int = Field(description="Seconds an equal input is answered from a finished result; 0: never")
    max_input: int = Field(description="Bytes of input taken")
    version: int
    searchable: list[str] = Field(
        description="Fields of the input by whose values `?tag=field=value` finds jobs"
    )
    input: dict[str, Any] = Field(description="JSON Schema of the input")
    output: dict[str, Any] = Field(description="JSON Schema of the output")
    times: KindTimes | None = Field(
        description="How long runs in its own lane take lately; null while nobody knows"
    )
    links: dict[str, str]


class KindList(BaseModel):
    """The catalogue: every kind of work this API takes."""

    kinds: list[KindDocument]
