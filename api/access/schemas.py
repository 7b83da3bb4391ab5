"""Models of API keys as they are made, replaced and listed, and of what was done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.access.audit import PLACE
from api.http.schemas import Written, validate, whole_number_to
from api.keys.api_key import ID_LENGTH
from sluice.core.access import (
    KEY_NAME,
    LEAST_OVERLAP_S,
    LONGEST_DAYS,
    MOST_OVERLAP_S,
    SCOPES,
    USUAL_OVERLAP_S,
)
from sluice.core.strict_json import Raw, parse

USUAL, MOST = 100, 1_000
"""Keys of a page."""
KEY_ID = f"[A-Za-z0-9]{{{ID_LENGTH}}}"


def _refuse_twice(scopes: list[str]) -> list[str]:
    if len(set(scopes)) < len(scopes):
        raise PydanticCustomError("repeated", "Each scope may come once.")
    return scopes


KeyName = Annotated[
    str,
    Written(
        KEY_NAME, "a name has 1 to 64 letters, digits, spaces and ._@/:-, and begins with a letter or digit"
    ),
]
Scope = Literal["submit", "read", "payloads", "admin", "operate"]
Scopes = Annotated[list[Scope], AfterValidator(_refuse_twice), Field(min_length=1, max_length=len(SCOPES))]


class PageQuery(BaseModel):
    """A page of keys."""

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="At most so many"
    )
    page_token: str = Field(
        "",
        description="`next_page_token` of the page before",
        json_schema_extra={"maxLength": ID_LENGTH, "pattern": f"^({KEY_ID})?$"},
    )


class AuditQuery(BaseModel):
    """A page of what was done."""

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="At most so many"
    )
    page_token: str = Field(
        "",
        description="`next_page_token` of the page before",
        json_schema_extra={"maxLength": 18, "pattern": f"^({PLACE})?$"},
    )


class RevokeQuery(BaseModel):
    """Whether the last key may go."""

    last: Literal["true", "false"] = Field(
        "false", description="`true`: revoke it even if no other good key has the scope `admin`"
    )


class KeyRequest(BaseModel):
    """A key as it is made."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"scopes": ["submit", "read"], "name": "importer", "expires_days": 90}]
        },
    )

    scopes: Scopes = Field(description="What it permits; nothing that the key of the request does not")
    name: KeyName | None = Field(None, description="What it is for; several keys may have the same")
    expires_days: int | None = Field(
        None, ge=1, le=LONGEST_DAYS, description="Days until it expires; without, it does not"
    )


class RotateRequest(BaseModel):
    """How a key is replaced."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    overlap_s: int = Field(
        USUAL_OVERLAP_S,
        ge=LEAST_OVERLAP_S,
        le=MOST_OVERLAP_S,
        description="Seconds for which the old key stays good, unless it expires before",
    )


class KeyDocument(BaseModel):
    """An API key, without its secret."""

    id: str
    name: str | None
    scopes: list[str]
    usable: bool = Field(description="It is neither revoked nor expired")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To a minute or two; null: never")
    replaced_by: str | None = Field(description="The id of the key that was put in its place")


class NewKeyDocument(KeyDocument):
    """A key that was made a moment ago."""

    key: str = Field(description="The key itself, which is not shown again", examples=["slc_…"])


class RotatedKeyDocument(NewKeyDocument):
    """A key that was put in the place of another."""

    replaces: str = Field(description="The id of the old key")
    old_ends_at: datetime = Field(description="When the old key ends")


class KeyList(BaseModel):
    """Keys of the tenant, newest first."""

    keys: list[KeyDocument]
    next_page_token: str | None = Field(description="`page_token` for those that follow; null at the end")


class AuditItem(BaseModel):
    """Something that was done."""

    at: datetime
    key_id: str | None = Field(description="Whose key did it; null: an operator, by a command")
    action: str = Field(examples=["key.create", "schedule.pause", "jobs.cancel"])
    object: str = Field(description="What it was done to", examples=["key/2r8Pi8FrTJgt", "schedule/nightly"])
    detail: dict[str, Any] = Field(description="The request id, and what else there is to say")


class AuditList(BaseModel):
    """What was done, newest first."""

    entries: list[AuditItem]
    next_page_token: str | None = Field(description="`page_token` for those that follow; null at the end")


def read_key_request(body: Raw) -> KeyRequest:
    """Read the body of a request that makes a key. Raises Malformed, Invalid."""
    return validate(KeyRequest, parse(body))


def read_rotation(body: Raw) -> RotateRequest:
    """Read the body of a request that replaces a key. Raises Malformed, Invalid."""
    return validate(RotateRequest, parse(body))
