"""Describe what webhooks are sent, as the section `webhooks` of the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.http.openapi import REF, Json, schemas_of
from api.jobs.schemas import JobItem
from api.webhooks.schemas import EventName
from sluice.core.webhook import CHALLENGE, CHALLENGE_RESPONSE, VERIFY

_ANSWERS: Json = {
    "2XX": {"description": "Taken. It may come again all the same, with the same `webhook-id`"},
    "410": {"description": "The webhook is disabled, and gets nothing more"},
    "default": {
        "description": "Anything else, a redirect or no answer within 15 s too: it is tried again",
        "headers": {
            "Retry-After": {
                "description": "Seconds until then at least",
                "schema": {"type": "integer", "minimum": 0},
            }
        },
    },
}


class JobDelivery(BaseModel):
    """What a webhook is told of a job that has ended."""

    type: EventName
    timestamp: datetime = Field(description="When it ended")
    data: JobItem = Field(description="The job without its result, which `links.result` leads to")


class EmptyDelivery(BaseModel):
    """What a webhook is sent that tells of no job."""

    type: Literal["webhook.test", "webhook.verify"]
    timestamp: datetime
    data: dict[str, Any] = Field(max_length=0)


_DELIVERIES: dict[str, tuple[str, type[BaseModel]]] = {
    "job.succeeded": ("A job has succeeded", JobDelivery),
    "job.failed": ("A job has failed", JobDelivery),
    "job.cancelled": ("A job was cancelled", JobDelivery),
    "webhook.test": ("A webhook is tried", EmptyDelivery),
    "webhook.verify": ("A webhook is asked whether it wants what is sent", EmptyDelivery),
}


def describe_deliveries(document: Json) -> None:
    """Add what webhooks are sent to the document of all routes."""
    for model in (JobDelivery, EmptyDelivery):
        document["components"]["schemas"] |= schemas_of(model)
    document["webhooks"] = {event: {"post": _describe(event, *each)} for event, each in _DELIVERIES.items()}


def _describe(event: str, summary: str, model: type[BaseModel]) -> Json:
    proves = event == VERIFY
    media = {"schema": {"$ref": REF + model.__name__}}
    return {
        "operationId": "deliver_" + event.replace(".", "_"),
        "summary": summary,
        "tags": ["deliveries"],
        "security": [],
        "parameters": [*_signed(), *([_challenge()] if proves else [])],
        "requestBody": {"required": True, "content": {"application/json": media}},
        "responses": _proved() if proves else _ANSWERS,
    }


def _signed() -> list[Json]:
    """Describe the headers of Standard Webhooks."""
    return [
        _header("webhook-id", "The same at every try", {"type": "string", "format": "uuid"}),
        _header(
            "webhook-timestamp", "Seconds since 1970 of this try", {"type": "string", "pattern": r"^\d+$"}
        ),
        _header(
            "webhook-signature",
            "HMAC-SHA256 of `id.timestamp.body` by the secret, in Base64; by each of two after a rotation",
            {"type": "string", "examples": ["v1,DDRDW/tQoWqLJU7abhLwt78fmMLNZ71kETFqpSF48pU="]},
        ),
    ]


def _challenge() -> Json:
    return _header(CHALLENGE, f"To be sent back as `{CHALLENGE_RESPONSE}`", {"type": "string"})


def _proved() -> Json:
    header = {"description": f"What came as `{CHALLENGE}`", "required": True, "schema": {"type": "string"}}
    verified = {"description": "Verified", "headers": {CHALLENGE_RESPONSE: header}}
    return _ANSWERS | {"2XX": verified}


def _header(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "required": True, "description": text, "schema": schema}
