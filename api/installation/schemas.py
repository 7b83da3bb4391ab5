"""Models of the installation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.http.schemas import whole_number_to
from api.installation.installation import LEASE

USUAL, MOST = 100, 500
"""Consumers of a page."""


class ConsumersQuery(BaseModel):
    """A page of consumers."""

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="At most so many"
    )
    page_token: str = Field(
        "",
        description="`next_page_token` of the page before",
        json_schema_extra={"maxLength": 36, "pattern": f"^({LEASE})?$"},
    )


class ConsumerLane(BaseModel):
    """A lane that a consumer serves, as it reported with its last renewal."""

    name: str
    slots: int | None = Field(description="Jobs that it runs at once at most; null: it has yet to report")
    running: int | None = Field(
        description="Jobs in hand; null: it has yet to report, or is of a release that does not"
    )
    per_second: float | None = Field(description="Runs that ended lately, each second")


class ConsumerDocument(BaseModel):
    """A consumer, as it describes itself."""

    id: str = Field(description="Its lease: another one if it had to begin anew")
    host: str
    pid: int
    release: str = Field(description="Version of the program")
    alive: bool = Field(
        description="Its lease holds; if not, its jobs go to others, and it is forgotten after that"
    )
    silent_s: float = Field(description="Seconds since it was heard of")
    started_at: datetime
    seen_at: datetime
    memory: int | None = Field(description="Resident bytes of all its processes")
    lanes: list[ConsumerLane]


class ConsumerList(BaseModel):
    """The consumers that the record knows."""

    consumers: list[ConsumerDocument]
    next_page_token: str | None = Field(description="`page_token` for those that follow; null at the end")


class ServerDocument(BaseModel):
    """A server, as this process has reached it a moment ago."""

    name: str = Field(examples=["postgresql"])
    state: Literal["up", "away", "off"] = Field(description="`off`: it is not configured")
    ms: float | None = Field(description="Milliseconds that it took to answer")
    since: datetime | None = Field(description="Since when this process knows that it is away")
    why: str


class TableDocument(BaseModel):
    """A table of the record, with its indexes."""

    name: str
    rows: int = Field(description="As PostgreSQL estimates them")
    bytes: int


class RecordDocument(BaseModel):
    """The record, as its catalogue describes it."""

    release: str = Field(description="Of PostgreSQL")
    revision: str = Field(description="Of the schema")
    newest_revision: str = Field(
        description="That this release has; older than `revision` while releases change"
    )
    oldest_transaction_s: float | None = Field(
        description="Seconds that a transaction has been open; null: none is. While one stays open nothing dead is removed"
    )
    tables: list[TableDocument] = Field(description="Largest first")


class SettingDocument(BaseModel):
    """A setting of the process that answers."""

    name: str = Field(examples=["SLUICE_KEEP_S"])
    value: str | None = Field(description="As `.env` has it; null for a secret that is set")
    is_default: bool


class SystemDocument(BaseModel):
    """What the installation runs on, and how the process that answers is set up."""

    version: str
    servers: list[ServerDocument]
    record: RecordDocument | None = Field(description="Null while it does not answer")
    settings: list[SettingDocument]
