"""The type of the setting that says which lanes there are, and how many processors a lane may use."""

from __future__ import annotations

import os
from typing import Annotated

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class LaneSettings(BaseModel):
    """Slots (0: one per processor) and ids per message of a lane."""

    model_config = ConfigDict(extra="forbid")

    slots: int = Field(ge=0, le=10_000)
    ids_per_message: int = Field(ge=1, le=1_000)


def _parse(value: object) -> object:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        raise ValueError("this is not JSON") from None


def _check_names(lanes: dict[str, LaneSettings]) -> dict[str, LaneSettings]:
    wrong = [name for name in lanes if not name.isidentifier() or len(name) > 32]
    if wrong or not lanes:
        raise ValueError(f"lane names are words of letters, digits and _: {', '.join(wrong) or 'none given'}")
    return lanes


Lanes = Annotated[dict[str, LaneSettings], BeforeValidator(_parse), AfterValidator(_check_names)]


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
