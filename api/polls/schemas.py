"""Models of a poll of many jobs: which versions the client knows, and what is new."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.http.schemas import Written, validate
from api.jobs.lookup import JOB_ID
from api.jobs.schemas import JobDocument
from sluice.core.errors import Flaw, Invalid
from sluice.core.strict_json import Raw, parse

MOST_JOBS = 1_000
"""Jobs of one poll."""
MOST_VERSION = 2**31 - 1

JobId = Annotated[str, Written(JOB_ID.pattern, "the id of a job is a UUID, as its submit told it")]
Version = Annotated[int, Field(ge=0, le=MOST_VERSION)]
KnownVersions = Annotated[
    dict[JobId, Version],
    Field(max_length=MOST_JOBS),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"format": "uuid", "pattern": f"^{JOB_ID.pattern}$"},
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": MOST_VERSION},
            "maxProperties": MOST_JOBS,
            "examples": [{"0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f": 1}],
        }
    ),
]


class PollRequest(BaseModel):
    """Which jobs to look at, and how long to wait for the first change."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    jobs: KnownVersions = Field(description="By id the version that you know; 0: none")
    wait: float = Field(0, ge=0, description="Seconds to wait, also a fraction; before `?wait` and `Prefer`")


class PollAnswer(BaseModel):
    """What is new, and whether it is worth asking again."""

    jobs: list[JobDocument] = Field(description="Jobs that have another version than you know, whole")
    unknown: list[str] = Field(description="Ids of no job of yours, or of one that is not kept any more")
    unfinished: int = Field(description="Jobs to ask for again: all whose end you do not know by now")
    more: bool = Field(description="There is more that did not fit into this answer: ask again at once")


def read_poll(body: Raw, cap_s: float) -> PollRequest:
    """Read the body of a poll, which may wait for `cap_s` seconds at most. Raises Malformed, Invalid."""
    request = validate(PollRequest, parse(body))
    if request.wait > cap_s:
        detail = f"wait is a number of seconds from 0 to {cap_s:g}"
        raise Invalid([Flaw("/wait", "out-of-bounds", detail)])
    return request
