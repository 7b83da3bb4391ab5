"""The filter for jobs, the same in the query of a list and in the bodies of changes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.http.schemas import Time, Written
from api.jobs.schemas import AnyTag
from sluice.core.error_fingerprint import LENGTH
from sluice.core.errors import Flaw, Invalid
from sluice.core.job import JobState
from sluice.core.listing import Filter
from sluice.handler import KIND_NAME

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _wrap_one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_form(value: Any) -> Any:
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("a time is written as 2030-01-31T12:00:00Z; in a query, + is %2B")
    return value


Moment = Annotated[Time, BeforeValidator(_check_form)]
State = Annotated[JobState, Field(strict=False)]
Kind = Annotated[
    str, Field(max_length=64), Written(KIND_NAME.pattern, "no kind has such a name: they are like demo.sum")
]
Fingerprint = Annotated[
    str,
    Written(f"[0-9a-f]{{{LENGTH}}}", f"the fingerprint of an error has {LENGTH} digits of 0 to 9 and a to f"),
]
States = Annotated[list[State], BeforeValidator(_wrap_one), Field(min_length=1, max_length=16)]


class JobFilter(BaseModel):
    """What the wanted jobs have in common; what is left out does not matter."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    state: States | None = Field(None, description="One of these states, or this one")
    kind: Kind | None = Field(None, description="Of this kind")
    tag: AnyTag | None = Field(
        None, description="Has this tag, perhaps among others; of a searchable field: `order_id=42`"
    )
    created_after: Moment | None = Field(None, description="Created at this time or later (RFC 3339)")
    created_before: Moment | None = Field(None, description="Created before this time (RFC 3339)")
    error: Fingerprint | None = Field(None, description="Failed with this error fingerprint")

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
