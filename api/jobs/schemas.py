"""Models of one job: the options of a submit, the document, the attempts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.http.schemas import Time
from sluice.searchable import LONGEST_TAG

YEAR_S = 31_536_000


def _refuse_unprintable(tag: str) -> str:
    if not tag.isprintable():
        raise ValueError("a tag holds printable characters only")
    return tag


Tag = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_refuse_unprintable)]
AnyTag = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG), AfterValidator(_refuse_unprintable)]
"""A tag that a client gave, or one of a searchable field."""


class RunOptions(BaseModel):
    """How a job is to be run, whenever that is; everything has a default."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lane: str | None = Field(
        None,
        min_length=1,
        max_length=32,
        description="Another lane than the kind's own, one of the kind's `lanes`",
    )
    priority: Literal["high", "normal", "low"] = Field("normal", description="Order within the lane")
    deadline_s: float | None = Field(
        None, gt=0, le=YEAR_S, description="Seconds after which it is not worth starting any more"
    )
    timeout_s: float | None = Field(
        None, gt=0, le=86_400, description="Seconds one try may take, at most what the kind allows"
    )
    max_attempts: int | None = Field(None, ge=1, le=100, description="Tries in all")
    tags: list[Tag] = Field([], max_length=10, description="Words to find the job by")


class SubmitOptions(RunOptions):
    """How and when a job is to be run; everything has a default."""

    delay_s: float | None = Field(None, ge=0, le=YEAR_S, description="Seconds to wait before it may run")
    run_at: Time | None = Field(None, description="Not before this time (RFC 3339); instead of `delay_s`")
    cache: Literal["use", "refresh", "off"] = Field(
        "use", description="Kinds with a cache time: reuse an equal result, replace it, or do neither"
    )
    webhook: str | None = Field(
        None, min_length=1, max_length=36, description="A webhook, by its id, that is told how it ends, whatever that asks for"
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_one_time(self) -> SubmitOptions:
        if self.delay_s is not None and self.run_at is not None:
            raise ValueError("delay_s and run_at both say when: give one of them")
        return self

    @model_validator(mode="after")
    def _check_it_may_start(self) -> SubmitOptions:
        wait_s = self.delay_s or 0
        if self.run_at is not None:
            wait_s = (self.run_at - datetime.now(UTC)).total_seconds()
        if self.deadline_s is not None and self.deadline_s <= wait_s:
            raise ValueError("deadline_s would pass before the job may run: give more, or wait less")
        return self


class JobError(BaseModel):
    """Why a job failed."""

    type: str = Field(examples=["timed-out"])
    title: str
    detail: str
    retryable: bool
    attempt: int
    fingerprint: str = Field(description="The same for failures of one cause", examples=["27f308596b3444eb"])


class JobItem(BaseModel):
    """A job as lists show it."""

    id: str = Field(description="UUIDv7", examples=["0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f"])
    kind: str
    state: Literal["scheduled", "queued", "running", "succeeded", "failed", "cancelled"]
    version: int = Field(description="Rises with every visible change; the ETag")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    deadline: datetime | None
    attempt: int = Field(description="Counted tries so far")
    max_attempts: int
    lane: str
    priority: str
    tags: list[str]
    progress: dict[str, Any] | None = Field(description="`percent` and `note`, as the handler reports them")
    retry_of: str | None = Field(description="The failed job that this one tries again")
    cancel_requested_at: datetime | None
    queue_position: int | None = Field(description="Of a queued job, estimated; lists leave these three out")
    eta: dict[str, float] | None = Field(
        description="Seconds until it ends, estimated: `p50_s` and `p90_s`",
        examples=[{"p50_s": 0.8, "p90_s": 2.1}],
    )
    waiting_on: str | None = Field(
        description="`queued-behind`, `lane-paused`, `no-consumer`, `scheduled` or `over-share`; `/explain` says more"
    )
    error: JobError | None
    links: dict[str, str]


class JobDocument(JobItem):
    """A job as it stands."""

    coalesced: bool = Field(False, description="Equal work was under way already; this is it")
    result: Any = Field(description="The output, once succeeded")


class AttemptDocument(BaseModel):
    """An attempt that did not succeed."""

    fence: int = Field(description="Which claim it was")
    attempt: int
    outcome: str = Field(examples=["timed-out"])
    started_at: datetime | None
    finished_at: datetime
    error: JobError | None
    traceback: str | None = Field(None, description="With the scope `admin`")


class AttemptList(BaseModel):
    """The attempts of a job that did not succeed, in order."""

    attempts: list[AttemptDocument]
