"""Models of bulk acts: what they ask for, how they stand, pages of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.http.schemas import validate, whole_number_to
from api.jobs.job_filter import JobFilter
from sluice.core.bulk import MOST_BATCH, NewBulkAct, narrow
from sluice.core.strict_json import Raw, parse

USUAL, MOST = 50, 200
"""Acts of a page."""
LEAST_RATE, USUAL_RATE, MOST_RATE = 0.01, 100.0, 10_000.0


class BulkActRequest(BaseModel):
    """What to do to which jobs, and how carefully."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    act: Literal["cancel", "retry", "delete"]
    filter: JobFilter
    dry_run: bool = Field(True, description="Count what would be changed first, and wait for a `go`")
    canary: int = Field(
        0, ge=0, le=MOST_BATCH, description="Begin with so many jobs: a retry goes on by itself once their new jobs have ended, "
        "or stops; other acts wait for a `go`"
    )  # fmt: skip
    most_failed: float = Field(
        0.0, ge=0, le=1, description="A retry stops if more than this part of its canary fails"
    )
    rate: float = Field(
        USUAL_RATE, ge=LEAST_RATE, le=MOST_RATE, description="The most jobs to change in a second"
    )


class BulkActDocument(BaseModel):
    """A bulk act as it stands."""

    id: str = Field(description="UUIDv7", examples=["0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f"])
    act: Literal["cancel", "retry", "delete"]
    state: Literal["counting", "waiting", "canary", "watching", "running", "finished", "stopped", "aborted"]
    reason: (
        Literal[
            "counted",
            "canary-done",
            "canary-failed",
            "tenant-backlog-full",
            "backlog-full",
            "tenant-storage-full",
        ]
        | None
    ) = Field(description="Why it waits, has stopped, or makes no new job at present")
    version: int = Field(description="Rises with every step; the ETag")
    filter: dict[str, Any] = Field(description="The filter, with the states that the act changes")
    canary: int
    most_failed: float
    rate: float
    matched: int | None = Field(description="Jobs that the dry run has counted; null without one")
    changed: int = Field(description="Jobs that were changed")
    canary_failed: int | None = Field(description="New jobs of a retry's canary that have failed")
    created_at: datetime
    finished_at: datetime | None
    links: dict[str, str]


class BulkActList(BaseModel):
    """A page of bulk acts, newest first."""

    acts: list[BulkActDocument]
    next_page_token: str | None = Field(description="Goes on behind this page; null at the end")


class BulkActsQuery(BaseModel):
    """A page of bulk acts."""

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="At most so many"
    )
    page_token: str = Field(
        "", description="`next_page_token` of the page before", json_schema_extra={"maxLength": 36}
    )


def read_new_act(body: Raw, act_id: str, tenant: str, keep_s: float) -> NewBulkAct:
    """Read the body of POST /v1/bulk. Raises Malformed, Invalid."""
    asked = validate(BulkActRequest, parse(body))
    wanted = narrow(asked.act, asked.filter.wanted)
    return NewBulkAct(
        act_id, tenant, asked.act, wanted, asked.canary, asked.rate, asked.most_failed, asked.dry_run, keep_s
    )
