"""Models of many jobs: the same filter in a query and in a body, and pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.http.schemas import Time, validate
from api.http.uvicorn_protocol import MOST_HEAD
from api.jobs.schemas import AnyTag, JobItem
from sluice.core.error_fingerprint import LENGTH
from sluice.core.errors import Flaw, Invalid
from sluice.core.job import JobState
from sluice.core.listing import Filter
from sluice.core.strict_json import Raw, parse
from sluice.handler import KIND_NAME

MOST = 1_000
"""Jobs of a page, or of one bulk change."""
USUAL = 50

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_TOKEN: dict[str, Any] = {"maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}
"""What tokens look like. Others are refused for what they are, not for their form."""
_SIZE = re.compile(r"[1-9]\d{0,3}", re.ASCII)


def _wrap_one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_form(value: Any) -> Any:
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("a time is written as 2030-01-31T12:00:00Z; in a query, + is %2B")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is out of range") from None


def _read_size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not _SIZE.fullmatch(value) or int(value) > MOST:
        raise PydanticCustomError("out-of-bounds", f"page_size is a whole number from 1 to {MOST}")
    return int(value)


Moment = Annotated[Time, BeforeValidator(_check_form), AfterValidator(_to_utc)]
State = Annotated[JobState, Field(strict=False)]
States = Annotated[list[State], BeforeValidator(_wrap_one), Field(min_length=1, max_length=16)]


class JobFilter(BaseModel):
    """What the wanted jobs have in common; what is left out does not matter."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    state: States | None = Field(None, description="One of these states, or this one")
    kind: str | None = Field(
        None, max_length=64, pattern=f"^{KIND_NAME.pattern}$", description="Of this kind"
    )
    tag: AnyTag | None = Field(
        None, description="Has this tag, perhaps among others; of a searchable field: `order_id=42`"
    )
    created_after: Moment | None = Field(None, description="Created at this time or later (RFC 3339)")
    created_before: Moment | None = Field(None, description="Created before this time (RFC 3339)")
    error: str | None = Field(
        None, pattern=f"^[0-9a-f]{{{LENGTH}}}$", description="Failed with this error fingerprint"
    )

    @property
    def wanted(self) -> Filter:
        """Build the filter that the record takes. Raises Invalid for values that no job can have."""
        states = tuple(sorted(set(self.state or ())))
        if self.error is not None:
            if states and JobState.FAILED not in states:
                detail = "Only failed jobs have an error fingerprint."
                raise Invalid([Flaw("?error", "contradiction", detail)])
            states = (JobState.FAILED,)
        return Filter(states, self.kind, self.tag, self.created_after, self.created_before, self.error)


class ListQuery(JobFilter):
    """A page of the jobs that fit a filter."""

    state: States | None = Field(None, description="State; give it several times for any of several")
    page_size: Annotated[int, BeforeValidator(_read_size)] = Field(
        USUAL, ge=1, le=MOST, description="Jobs of a page"
    )
    page_token: str | None = Field(
        None,
        description="`next_page_token` of the page before, with the same filter",
        json_schema_extra=_TOKEN,
    )
    timing: str | None = Field(
        None, max_length=MOST_HEAD, description="1: answer with `Server-Timing`", examples=["1"]
    )


class BulkRequest(BaseModel):
    """Which jobs to change, and whether to do it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    filter: JobFilter
    dry_run: bool = Field(True, description="Only say what would be changed")
    limit: int = Field(MOST, ge=1, le=MOST, description="The most jobs to change")
    page_token: str | None = Field(None, max_length=64, description="`next_page_token` of an earlier answer")


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobItem]
    next_page_token: str | None = Field(description="Goes on behind this page; null at the end")


class BulkAnswer(BaseModel):
    """What a bulk change did, or would do."""

    matched: int = Field(description="Jobs that fit and can still be changed")
    changed: int = Field(description="Of these changed by this request")
    dry_run: bool
    jobs: list[str] = Field(description="Ids of the matched, newest first")
    retries: dict[str, str] = Field(
        {}, description="Retry only: failed job → the new job made by this request"
    )
    more: bool = Field(description="There may be more: ask again, or with `page_token`")
    next_page_token: str | None


def read_bulk(body: Raw) -> BulkRequest:
    """Read the body of a bulk change. Raises Malformed, Invalid."""
    return validate(BulkRequest, parse(body))
