"""What HTTP shows and takes: the options of a submit, and the shapes that the OpenAPI document describes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sluice.core.errors import Flaw

YEAR_S = 31_536_000


def _printable(tag: str) -> str:
    if not tag.isprintable():
        raise ValueError("a tag holds printable characters only")
    return tag


def _text(value: Any) -> Any:
    """A time is written, as in RFC 3339; a bare number could be seconds or milliseconds."""
    if not isinstance(value, str):
        raise ValueError("a time is a string such as 2030-01-31T12:00:00Z")
    return value


Tag = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text)]


class RunOptions(BaseModel):
    """How a job is to be run, whenever that is; everything has a default."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lane: str | None = Field(
        None, min_length=1, max_length=32, description="Another lane than the kind's own"
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

    @model_validator(mode="after")
    def _one_time(self) -> SubmitOptions:
        if self.delay_s is not None and self.run_at is not None:
            raise ValueError("delay_s and run_at both say when: give one of them")
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
    queue_position: int | None
    eta: dict[str, float] | None
    waiting_on: str | None
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


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobItem]
    next_page_token: str | None = Field(description="Goes on behind this page; null at the end")


class ErrorGroup(BaseModel):
    """Failures of one cause; title and detail are those of the newest."""

    fingerprint: str | None = Field(description="`error=` of the list; null for failures of old releases")
    kind: str
    type: str = Field(examples=["handler-error"])
    title: str
    detail: str
    count: int
    newest_at: datetime
    example: str = Field(description="Id of the newest")


class ErrorList(BaseModel):
    """The newest failures by their cause, the most frequent first."""

    errors: list[ErrorGroup]
    failures: int = Field(description="Failed jobs that were looked at")
    more: bool = Field(description="There may be older ones that were not looked at")


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


class ProblemFlaw(BaseModel):
    """One thing wrong with a request."""

    pointer: str = Field(description="RFC 6901 pointer into the body", examples=["/input/width"])
    code: str = Field(examples=["greater_than"])
    detail: str


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="A stable word to decide by", examples=["invalid"])
    title: str
    status: int
    detail: str
    errors: list[ProblemFlaw]
    request_id: str
    retryable: bool = Field(description="The same request may succeed later; see Retry-After")


class KindDocument(BaseModel):
    """A kind as the catalogue shows it."""

    kind: str
    description: str
    lane: str
    runs_in: Literal["loop", "thread", "process"]
    timeout_s: float
    max_attempts: int
    cache_s: int = Field(description="Seconds an equal input is answered from a finished result; 0: never")
    max_input: int = Field(description="Bytes of input taken")
    version: int
    input: dict[str, Any] = Field(description="JSON Schema of the input")
    output: dict[str, Any] = Field(description="JSON Schema of the output")
    links: dict[str, str]


def flaws_of(error: ValidationError, within: str = "") -> list[Flaw]:
    """What pydantic found wrong, as flaws whose pointers begin at `within`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Flaw(within + pointer(each["loc"]), each["type"], each["msg"]) for each in found]


def pointer(path: Iterable[int | str]) -> str:
    """The RFC 6901 pointer of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
