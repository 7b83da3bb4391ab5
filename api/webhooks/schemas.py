"""Models of webhooks as they are registered and listed, and of what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.http.schemas import Time, validate, whole_number_to
from sluice.core.strict_json import Raw, parse
from sluice.core.webhook_url import LONGEST_URL
from sluice.searchable import LONGEST_TAG

USUAL, MOST = 100, 1_000
"""Deliveries of a page."""
LONGEST_ID = 36
DAY_S, MONTH_S = 86_400, 2_592_000

EventName = Literal["job.succeeded", "job.failed", "job.cancelled"]
Word = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]


class TriesQuery(BaseModel):
    """A page of what was sent."""

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="At most so many"
    )
    page_token: str = Field("", max_length=LONGEST_ID, description="`next_page_token` of the page before")


class WebhookRequest(BaseModel):
    """An endpoint as it is registered."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"url": "https://hooks.example.com/sluice", "events": ["job.failed"]}]
        },
    )

    url: str = Field(max_length=LONGEST_URL, description="Where to: https, port 443 or 8443, a public host")
    events: list[EventName] = Field(
        ["job.succeeded", "job.failed", "job.cancelled"],
        min_length=1,
        max_length=3,
        description="What it is told of; by default all",
    )
    kinds: list[Word] = Field([], max_length=100, description="Of jobs of these kinds; empty: of all")
    tags: list[Word] = Field([], max_length=100, description="Of jobs with one of these tags; empty: of all")
    verify: bool = Field(False, description="Tell it nothing until it has proved that it wants it")

    @property
    def asks(self) -> tuple[list[str], list[str], list[str]]:
        """Events, kinds and tags."""
        return [*self.events], self.kinds, self.tags


class RotateSecretRequest(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    overlap_s: int = Field(
        DAY_S, ge=0, le=MONTH_S, description="Seconds for which the old secret signs as well"
    )


class RedeliverRequest(BaseModel):
    """What is to be sent again."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    delivery: str | None = Field(None, max_length=64, description="One delivery, whatever came of it")
    since: Time | None = Field(None, description="Or those made since then that failed")

    @model_validator(mode="after")
    def _check_one(self) -> RedeliverRequest:
        if (self.delivery is None) == (self.since is None):
            raise ValueError("say which: `delivery`, or `since`")
        return self


class WebhookDocument(BaseModel):
    """An endpoint, without its secret."""

    id: str
    url: str
    events: list[str]
    kinds: list[str]
    tags: list[str]
    created_at: datetime
    old_until: datetime | None = Field(description="Until then the secret before signs as well")
    failing_since: datetime | None = Field(description="Nothing has arrived since; null: the last did")
    disabled_at: datetime | None = Field(description="Since then nothing is sent; PUT lets it go on")
    disabled_why: str | None
    verified_at: datetime | None = Field(description="When it proved that it wants what is sent there")
    verification_failed: str | None = Field(
        description="Why it did not when it was asked last; `/tries` shows its answer"
    )


class NewWebhookDocument(WebhookDocument):
    """An endpoint with its newest secret."""

    secret: str = Field(description="What deliveries are signed with; not shown again", examples=["whsec_…"])


class WebhookList(BaseModel):
    """The endpoints of the tenant, oldest first."""

    webhooks: list[WebhookDocument]


class TryDocument(BaseModel):
    """A delivery, and what came of it."""

    id: str = Field(description="The header `webhook-id`")
    job_id: str | None
    event: str
    state: Literal["waiting", "sending", "delivered", "failed"]
    tries: int
    created_at: datetime
    tried_at: datetime | None
    due: datetime | None = Field(description="When it is tried next")
    status: int | None = Field(description="Of the last answer; null: there was none")
    outcome: str | None = Field(description="Of the last try, in words")
    answer: str | None = Field(description="How the last answer began, at most 1,024 bytes")


class TryList(BaseModel):
    """What was sent, newest first."""

    tries: list[TryDocument]
    next_page_token: str | None = Field(description="`page_token` for those that follow; null at the end")


class SentDocument(BaseModel):
    """A delivery that is on its way."""

    id: str


class RedeliveredDocument(BaseModel):
    """What is sent again."""

    count: int = Field(description="Deliveries; at most 10,000 at a time")


def read_webhook_request(body: Raw) -> WebhookRequest:
    """Read the body of a request that registers or replaces an endpoint. Raises Malformed, Invalid."""
    return validate(WebhookRequest, parse(body))


def read_secret_rotation(body: Raw) -> RotateSecretRequest:
    """Read the body of a request that replaces a secret. Raises Malformed, Invalid."""
    return validate(RotateSecretRequest, parse(body))


def read_redelivery(body: Raw) -> RedeliverRequest:
    """Read the body of a request that sends again. Raises Malformed, Invalid."""
    return validate(RedeliverRequest, parse(body))
