"""What the API answers with, as frozen values. `raw` has the whole document as it came, with fields that are newer than this client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sluice.client.errors import BadAnswer, Flaw, Problem

FINISHED = frozenset({"succeeded", "failed", "cancelled"})

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed. Decide by `type`, such as `timed-out`; failures of one cause have the same `fingerprint`."""

    type: str
    title: str
    detail: str
    retryable: bool
    attempt: int
    fingerprint: str | None
    raw: Raw = field(repr=False)

    def __str__(self) -> str:
        return f"{self.type}: {self.title}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class JobDocument:
    """A job as it stood when the server answered. Times have a zone; `progress` has `percent` and `note`, `eta` `p50_s` and `p90_s`."""

    id: str
    kind: str
    state: str
    version: int
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    deadline: datetime | None
    attempt: int
    max_attempts: int
    lane: str
    priority: str
    tags: tuple[str, ...]
    progress: Raw | None
    retry_of: str | None
    cancel_requested_at: datetime | None
    queue_position: int | None
    eta: Raw | None
    waiting_on: str | None
    coalesced: bool
    result: Any = field(repr=False)
    error: JobError | None
    raw: Raw = field(repr=False)

    @property
    def finished(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.state in FINISHED or self.finished_at is not None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that the job's handler has logged."""

    at: datetime | None
    level: str
    attempt: int
    message: str
    fields: Raw
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job is not done. Decide by `reason`; `detail` is for people, `timeline` tells what has happened."""

    job_id: str
    state: str
    reason: str
    detail: str
    position: int | None
    eta: Raw | None
    timeline: tuple[Raw, ...]
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work that the API takes. `input` and `output` are JSON Schemas."""

    kind: str
    description: str
    lane: str
    version: int
    timeout_s: float
    max_attempts: int
    cache_s: int
    max_input: int
    input: Raw = field(repr=False)
    output: Raw = field(repr=False)
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane as it stands. What was counted is a second or two old, and None while nobody counts."""

    name: str
    queued: int | None
    running: int | None
    slots: int | None
    oldest_s: float | None
    per_second: float | None
    drain_s: float | None
    consumers: int | None
    paused: Raw | None
    raw: Raw = field(repr=False)


def read_job(raw: Any) -> JobDocument:
    """Read the document of a job. Raises BadAnswer."""
    value = read_object(raw, id=str, state=str, version=int)
    error = value.get("error")
    plain: dict[str, Any] = {
        name: value.get(name)
        for name in ("retry_of", "queue_position", "eta", "waiting_on", "progress", "result")
    }
    plain |= {name: _time(value.get(name)) for name in _TIMES}
    plain |= {name: str(value.get(name) or "") for name in ("kind", "lane", "priority")}
    plain |= {name: int(value.get(name) or 0) for name in ("attempt", "max_attempts")}
    return JobDocument(
        **plain,
        id=value["id"],
        state=value["state"],
        version=value["version"],
        tags=tuple(value.get("tags") or ()),
        coalesced=bool(value.get("coalesced")),
        error=read_error(error) if error is not None else None,
        raw=value,
    )


_TIMES = ("created_at", "started_at", "finished_at", "run_at", "deadline", "cancel_requested_at")


def read_error(raw: Any) -> JobError:
    """Read why a job failed. Raises BadAnswer."""
    value = read_object(raw, type=str)
    texts = {name: str(value.get(name) or "") for name in ("type", "title", "detail")}
    return JobError(
        **texts,
        retryable=bool(value.get("retryable")),
        attempt=int(value.get("attempt") or 0),
        fingerprint=value.get("fingerprint"),
        raw=value,
    )


def read_problem(raw: Any, status: int) -> Problem:
    """Read why a request, or an item of a batch, was refused. Raises BadAnswer."""
    value = read_object(raw, type=str)
    flaws = [read_object(each) for each in value.get("errors") or ()]
    return Problem(
        type=value["type"],
        status=status,
        title=str(value.get("title") or ""),
        detail=str(value.get("detail") or ""),
        flaws=tuple(
            Flaw(*(str(flaw.get(name, "")) for name in ("pointer", "code", "detail"))) for flaw in flaws
        ),
        request_id=str(value.get("request_id") or ""),
        retryable=value.get("retryable"),
        raw=value,
    )


def read_log_line(raw: Any) -> LogLine:
    """Read a line of a log. Raises BadAnswer."""
    value = read_object(raw, message=str)
    return LogLine(
        at=_time(value.get("at")),
        level=str(value.get("level") or ""),
        attempt=int(value.get("attempt") or 0),
        message=value["message"],
        fields=value.get("fields") or {},
        raw=value,
    )


def read_explanation(raw: Any) -> Explanation:
    """Read an explanation. Raises BadAnswer."""
    value = read_object(raw, job_id=str, state=str, reason=str)
    known = {name: value.get(name) for name in ("job_id", "state", "reason", "position", "eta")}
    timeline = tuple(value.get("timeline") or ())
    return Explanation(**known, detail=str(value.get("detail") or ""), timeline=timeline, raw=value)  # type: ignore[arg-type]  # checked above


def read_kind(raw: Any) -> Kind:
    """Read a kind of the catalogue. Raises BadAnswer."""
    value = read_object(raw, kind=str, lane=str, version=int, input=dict, output=dict)
    names = [name for name in Kind.__dataclass_fields__ if name != "raw"]
    return Kind(**{name: value.get(name) for name in names}, raw=value)  # type: ignore[arg-type]  # checked above


def read_lane(raw: Any) -> Lane:
    """Read a lane. Raises BadAnswer."""
    value = read_object(raw, name=str)
    names = [name for name in Lane.__dataclass_fields__ if name != "raw"]
    return Lane(**{name: value.get(name) for name in names}, raw=value)  # type: ignore[arg-type]  # checked above


def read_object(raw: Any, **required: type) -> dict[str, Any]:
    """Return a value of JSON that is an object with fields of these types. Raises BadAnswer."""
    if not isinstance(raw, dict):
        raise BadAnswer(f"The answer has {type(raw).__name__} where an object was to be expected.")
    for name, wanted in required.items():
        if not isinstance(raw.get(name), wanted):
            raise BadAnswer(
                f"The answer has no {name!r} of type {wanted.__name__} where one was to be expected."
            )
    return raw


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadAnswer("The answer has no time where one was to be expected.") from None
