"""Models of many jobs: the same filter in a query and in a body, and pages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.http.schemas import validate, whole_number_to
from api.jobs.job_filter import JobFilter, States
from api.jobs.schemas import JobItem
from sluice.core.strict_json import Raw, parse

MOST = 1_000
"""Jobs of a page, or of one bulk change."""
USUAL = 50

_TOKEN: dict[str, Any] = {"maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}
"""What tokens look like. Others are refused for what they are, not for their form."""


class ListQuery(JobFilter):
    """A page of the jobs that fit a filter. What else a query has is judged by its route."""

    model_config = ConfigDict(extra="ignore")

    state: States | None = Field(None, description="State; give it several times for any of several")
    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="Jobs of a page"
    )
    page_token: str | None = Field(
        None,
        description="`next_page_token` of the page before, with the same filter",
        json_schema_extra=_TOKEN,
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
