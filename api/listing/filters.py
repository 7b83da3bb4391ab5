"""What lists and bulk changes are asked for: the same filter in a query and in a body."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.http.schemas import Tag, Time, flaws_of
from sluice.core.error_fingerprint import LENGTH
from sluice.core.errors import Flaw, Invalid
from sluice.core.job import JobState
from sluice.core.listing import Filter
from sluice.core.strict_json import parse
from sluice.handler import KIND_NAME

MOST = 1_000
"""Jobs of a page, or of one bulk change."""
USUAL = 50
REPEATABLE = "state"
OWN = frozenset({"page_size", "page_token", "timing"})
"""Parameters of a list that are no filters."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SIZE = re.compile(r"[1-9]\d{0,3}", re.ASCII)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _written(value: Any) -> Any:
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("a time is written as 2030-01-31T12:00:00Z; in a query, + is %2B")
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is out of range") from None


Moment = Annotated[Time, BeforeValidator(_written), AfterValidator(_utc)]
State = Annotated[JobState, Field(strict=False)]


class JobFilter(BaseModel):
    """What the wanted jobs have in common; what is left out does not matter."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    state: Annotated[list[State], BeforeValidator(_several), Field(min_length=1, max_length=16)] | None = (
        Field(None, description="One of these states, or this one")
    )
    kind: str | None = Field(None, max_length=64, pattern=f"^{KIND_NAME.pattern}$")
    tag: Tag | None = Field(None, description="Has this tag, perhaps among others")
    created_after: Moment | None = Field(None, description="Created at this time or later (RFC 3339)")
    created_before: Moment | None = Field(None, description="Created before this time (RFC 3339)")
    error: str | None = Field(
        None, pattern=f"^[0-9a-f]{{{LENGTH}}}$", description="Failed with this error fingerprint"
    )

    @property
    def wanted(self) -> Filter:
        """What the record is asked for. Raises Invalid for what no job can be."""
        states = tuple(sorted(set(self.state or ())))
        if self.error is not None:
            if states and JobState.FAILED not in states:
                raise refusal("error", "contradiction", "Only failed jobs have an error fingerprint.")
            states = (JobState.FAILED,)
        return Filter(states, self.kind, self.tag, self.created_after, self.created_before, self.error)


class BulkRequest(BaseModel):
    """Which jobs to change, and whether to do it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    filter: JobFilter
    dry_run: bool = Field(True, description="Only say what would be changed")
    limit: int = Field(MOST, ge=1, le=MOST, description="The most jobs to change")
    page_token: str | None = Field(None, max_length=64, description="`next_page_token` of an earlier answer")


class ListQuery(NamedTuple):
    """A page of a list."""

    wanted: Filter
    page_size: int = USUAL
    page_token: str | None = None


def read_query(parameters: Iterable[tuple[str, str]]) -> ListQuery:
    """The query of GET /v1/jobs. Raises Invalid, also for what it does not know."""
    given: dict[str, Any] = {}
    for name, value in parameters:
        if name not in JobFilter.model_fields and name not in OWN:
            raise refusal(name[:64], "unknown-parameter", "There is no such parameter.")
        if name == REPEATABLE:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise refusal(name, "repeated", "Send this parameter once.")
        else:
            given[name] = value
    own = {name: given.pop(name) for name in OWN & given.keys()}
    return ListQuery(_read_filter(given).wanted, _size(own.get("page_size")), own.get("page_token"))


def read_bulk(raw: bytes) -> BulkRequest:
    """The body of a bulk change. Raises Malformed, Invalid."""
    try:
        return BulkRequest.model_validate(parse(raw))
    except ValidationError as error:
        raise Invalid(flaws_of(error)) from None


def refusal(name: str, code: str, detail: str) -> Invalid:
    """A parameter of a query that cannot be taken."""
    return Invalid([Flaw(f"?{name}", code, detail)])


def _read_filter(given: dict[str, Any]) -> JobFilter:
    try:
        return JobFilter.model_validate(given)
    except ValidationError as error:
        flaws = [Flaw("?" + flaw.pointer[1:], flaw.code, flaw.detail) for flaw in flaws_of(error)]
        raise Invalid(flaws) from None


def _size(text: str | None) -> int:
    if text is None:
        return USUAL
    if not _SIZE.fullmatch(text) or int(text) > MOST:
        raise refusal("page_size", "out-of-bounds", f"page_size is a whole number from 1 to {MOST}")
    return int(text)
