"""Models of groups of failures."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

GroupState = Literal["open", "resolved", "ignored"]


class ErrorQuery(BaseModel):
    """Which groups are wanted. What else a query has is judged by its route."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    state: GroupState | None = Field(None, description="Only groups in this state")


class Return(BaseModel):
    """The first failure after a group was resolved."""

    at: datetime
    version: int = Field(description="The version of the kind for which that job was accepted")


class ErrorCount(BaseModel):
    """How many failed in one hour."""

    hour: datetime
    count: int


class ErrorGroup(BaseModel):
    """Failures of one cause; title and detail are those of the newest."""

    fingerprint: str | None = Field(description="`error=` of the list; null for failures of old releases")
    kind: str
    type: str = Field(examples=["handler-error"])
    title: str
    detail: str
    state: GroupState = Field(description="`resolved` until the next failure opens it again")
    count: int
    first_at: datetime = Field(description="The oldest that was looked at")
    newest_at: datetime
    hours: list[ErrorCount] = Field(description="Hours with failures, in order")
    marked_at: datetime | None = Field(description="When it was resolved, or ignored")
    back: Return | None = Field(description="What opened it again")
    example: str = Field(description="Id of the newest")


class ErrorList(BaseModel):
    """The newest failures by their cause, the most frequent first."""

    errors: list[ErrorGroup]
    failures: int = Field(description="Failed jobs that were looked at")
    more: bool = Field(description="There may be older ones that were not looked at")
