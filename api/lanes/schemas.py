"""Models of lanes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.http.schemas import validate
from sluice.core.strict_json import Raw, parse


def _refuse_unprintable(reason: str) -> str:
    if not reason.isprintable() or not reason.strip():
        raise ValueError("a reason is one line of printable characters")
    return reason


class PauseRequest(BaseModel):
    """Why a lane is to be paused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    reason: Annotated[str, AfterValidator(_refuse_unprintable)] = Field(
        min_length=1,
        max_length=200,
        description="One line for those who ask why their jobs wait",
        examples=["the licence server is down"],
    )


class PauseDocument(BaseModel):
    """A pause of a lane."""

    since: datetime
    reason: str
    by: str = Field(description="The id of the key that asked for it")


class LaneDocument(BaseModel):
    """A lane as it stands. What was counted is a second or two old, and null while nobody counts."""

    name: str
    queued: int | None = Field(
        description="Jobs that wait for a slot, counted up to 200,000 of each priority"
    )
    running: int | None
    slots: int | None = Field(description="Of all living consumers that serve it")
    oldest_s: float | None = Field(description="Seconds that the oldest job has waited; 0: none waits")
    per_second: float | None = Field(description="Runs that ended lately, each second")
    drain_s: float | None = Field(
        description="Seconds until what waits has begun, if nothing comes; null while nobody knows, and while it is paused"
    )
    consumers: int | None
    paused: PauseDocument | None


class LaneList(BaseModel):
    """Every lane that is configured, and others that are paused."""

    lanes: list[LaneDocument]


def read_pause(body: Raw) -> PauseRequest:
    """Read the body of a request that pauses a lane. Raises Malformed, Invalid."""
    return validate(PauseRequest, parse(body))
