"""Models of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.http.schemas import Written, validate, whole_number_to
from api.jobs.schemas import RunOptions
from sluice.core.errors import Flaw, Invalid
from sluice.core.schedule import LONGEST, NAME, CatchUp
from sluice.core.strict_json import Raw, parse

USUAL, MOST = 100, 1_000
"""Schedules of a page."""


ScheduleName = Annotated[
    str,
    Written(NAME, "a name has 1 to 55 of a to z, 0 to 9, ., _ and -, and begins with a letter or digit"),
]


class PageQuery(BaseModel):
    """A page of schedules."""

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="At most so many"
    )
    page_token: str = Field(
        "",
        description="`next_page_token` of the page before",
        json_schema_extra={"maxLength": 55, "pattern": f"^({NAME})?$"},
    )


class ScheduleBody(BaseModel):
    """A schedule as it is made or replaced."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly",
                    "cron": "30 3 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "kind": "demo.sum",
                    "input": {"values": [1, 2]},
                }
            ]
        },
    )

    name: ScheduleName = Field(description="Its name among those of the tenant; in a PUT the path says it")
    cron: str = Field(description="Minute, hour, day of month, month, day of week; or a word like `@daily`")
    timezone: str = Field("UTC", max_length=LONGEST, description="IANA time zone in which `cron` is read")
    kind: str = Field(description="The kind of the jobs it makes; GET /v1/kinds lists them")
    input: Any = Field(description="Their input, checked when the schedule is made")
    options: RunOptions = Field(
        RunOptions(), description="Their options; `deadline_s` counts from each tick's job"
    )
    catch_up: CatchUp = Field(
        CatchUp.ONE,
        strict=False,
        description="Ticks that were missed by a minute: one job for all, none, or all",
    )


class ScheduleReplacement(ScheduleBody):
    """What a PUT takes: the path says the name, and the body may repeat it."""

    name: ScheduleName = Field("", description="As in the path")


class ScheduleOptions(BaseModel):
    """The options of the jobs that a schedule makes."""

    lane: str
    priority: str
    max_attempts: int
    timeout_s: float | None
    deadline_s: float | None
    tags: list[str]


class ScheduleDocument(BaseModel):
    """A schedule as it stands. Lists leave `input` out."""

    name: str
    cron: str
    timezone: str
    describes: str = Field(description="`cron` in words", examples=["At 03:30 on Monday through Friday"])
    kind: str
    input: Any = None
    options: ScheduleOptions
    catch_up: CatchUp
    paused: bool
    next_at: datetime | None = Field(description="The next tick; null while paused")
    last_at: datetime | None = Field(description="The last tick that made a job")
    last_job_id: str | None = Field(description="The last job, also one made by hand")
    created_at: datetime
    links: dict[str, str]


class ScheduleList(BaseModel):
    """Schedules by name."""

    schedules: list[ScheduleDocument]
    next_page_token: str | None = Field(description="`page_token` for those that follow; null at the end")


def read_schedule(body: Raw, name: str | None = None) -> ScheduleBody:
    """Read the body of a request that makes a schedule; its name may be in the path. Raises Malformed, Invalid."""
    value = parse(body)
    if name is not None and isinstance(value, dict):
        value = {"name": name} | value
    schedule = validate(ScheduleBody, value)
    if name not in (None, schedule.name):
        raise Invalid([Flaw("/name", "mismatch", "The path names another schedule.")])
    return schedule
