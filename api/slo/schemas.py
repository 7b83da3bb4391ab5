"""Models of the promise."""

from __future__ import annotations

from pydantic import BaseModel, Field


class CachedReads(BaseModel):
    """Look-ups of finished jobs."""

    p95_ms: float | None = Field(description="In the last minute; null: there were fewer than 20")
    at_rest_p95_ms: float | None = Field(description="In the last 600 seconds with at most 50 requests each")
    ratio: float | None = Field(examples=[1.04])
    limit: float = Field(description="What is promised of the ratio", examples=[1.1])


class Availability(BaseModel):
    """Requests that did not end with 5xx."""

    ratio: float | None = Field(examples=[0.9998])
    objective: float = Field(examples=[0.999])
    budget_left: float | None = Field(
        description="The part of the failures that the objective allows and that have not happened; below 0 it is missed"
    )
    window_s: int = Field(description="Seconds that it is taken of, at most an hour")


class SloDocument(BaseModel):
    """The promise, as the process that answers keeps it."""

    cached_reads: CachedReads
    availability: Availability
    shedding: bool = Field(description="A submit was refused with 503 in the last 10 seconds")
