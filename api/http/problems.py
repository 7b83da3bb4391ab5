"""The one table from errors to problem documents (RFC 9457)."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from api.http.asgi import Header
from api.http.errors import (
    BadHeader,
    ClientGone,
    Forbidden,
    HeadersTooLarge,
    JobCancelled,
    JobFailed,
    KindMissing,
    MalformedRequest,
    RateLimited,
    RequestTimeout,
    TenantOverloaded,
    TooManyConnections,
    UnsupportedMediaType,
)
from api.http.response import CLOSE, NO_STORE, VARY, Reply, content_length
from api.keys.failed_auth import TooManyFailures
from api.keys.keyring import Unauthorized
from sluice.core.errors import (
    BacklogFull,
    BadRow,
    BatchRefused,
    BatchUnknown,
    BulkNotWaiting,
    BulkUnknown,
    CacheAway,
    CredentialsRefused,
    ErrorUnknown,
    Flaw,
    IdempotencyKeyReused,
    Invalid,
    JobExpired,
    JobNotFailed,
    JobNotFinished,
    JobUnknown,
    KeyEnded,
    KeyUnknown,
    KindUnknown,
    LaneUnknown,
    LastAdminKey,
    Malformed,
    OutcomeUnknown,
    Overloaded,
    ScheduleExists,
    ScheduleUnknown,
    ServerAway,
    ServerRefused,
    ServerUnfit,
    StorageFull,
    TooLarge,
    TooManyBulkActs,
    TooManyKeys,
    TooManyWebhooks,
    TryAgain,
    WebhookDisabled,
    WebhookUnknown,
    WholeBacklogFull,
    WritesRefused,
)

MEDIA_TYPE = "application/problem+json"
ECHO = 256
"""Characters of anything a client sent that an answer may repeat."""
FLAWS = 32
"""Flaws listed in one answer."""


class ProblemType(NamedTuple):
    """A row of the table. `retry_s` is set if the same request may succeed later."""

    type: str
    status: int
    title: str
    retry_s: int | None = None
    closes: bool = False


TABLE: dict[type[BaseException], ProblemType] = {
    Malformed: ProblemType("malformed-json", 400, "The body is not the JSON we take"),
    Unauthorized: ProblemType("unauthorized", 401, "A valid key is needed"),
    Forbidden: ProblemType("forbidden", 403, "The key lacks a scope"),
    JobUnknown: ProblemType("job-unknown", 404, "There is no such job"),
    KindMissing: ProblemType("kind-unknown", 404, "There is no such kind"),
    RequestTimeout: ProblemType("request-timeout", 408, "The request did not arrive in time", closes=True),
    JobFailed: ProblemType("job-failed", 409, "The job failed"),
    JobCancelled: ProblemType("job-cancelled", 409, "The job was cancelled"),
    JobExpired: ProblemType("job-expired", 410, "The job is not kept any more"),
    TooLarge: ProblemType("too-large", 413, "The body is too large", closes=True),
    UnsupportedMediaType: ProblemType("unsupported-media-type", 415, "The body has to be plain JSON"),
    Invalid: ProblemType("invalid", 422, "The request does not fit"),
    KindUnknown: ProblemType("kind-unknown", 422, "There is no such kind"),
    IdempotencyKeyReused: ProblemType("key-reused", 422, "The idempotency key was used for another request"),
    MalformedRequest: ProblemType("malformed-request", 400, "This is not HTTP/1.1", closes=True),
    BadHeader: ProblemType("invalid-header", 400, "A header has a form that is not taken"),
    JobNotFinished: ProblemType("job-not-finished", 409, "The job has not finished"),
    JobNotFailed: ProblemType("job-not-failed", 409, "The job has not failed"),
    ErrorUnknown: ProblemType("error-unknown", 404, "No recent failure has this fingerprint"),
    LaneUnknown: ProblemType("lane-unknown", 404, "There is no such lane"),
    ScheduleUnknown: ProblemType("schedule-unknown", 404, "There is no such schedule"),
    ScheduleExists: ProblemType("schedule-exists", 409, "There is a schedule of this name already"),
    BatchUnknown: ProblemType("batch-unknown", 404, "There is no such batch"),
    BulkUnknown: ProblemType("bulk-unknown", 404, "There is no such bulk act"),
    BulkNotWaiting: ProblemType("bulk-not-waiting", 409, "The bulk act does not wait for this"),
    TooManyBulkActs: ProblemType("too-many-bulk-acts", 409, "The tenant has as many bulk acts as it may"),
    BatchRefused: ProblemType("batch-refused", 422, "Items of the batch are refused"),
    KeyUnknown: ProblemType("key-unknown", 404, "There is no such API key"),
    KeyEnded: ProblemType("key-ended", 409, "The API key is no longer good"),
    LastAdminKey: ProblemType("last-admin-key", 409, "Nobody could manage this tenant any more"),
    TooManyKeys: ProblemType("too-many-keys", 409, "The tenant has as many API keys as it may"),
    WebhookUnknown: ProblemType("webhook-unknown", 404, "There is no such webhook"),
    WebhookDisabled: ProblemType("webhook-disabled", 409, "The webhook is disabled"),
    TooManyWebhooks: ProblemType("too-many-webhooks", 409, "The tenant has as many webhooks as it may"),
    BadRow: ProblemType("invalid", 422, "The request does not fit"),
    RateLimited: ProblemType("rate-limited", 429, "The key sends more than its rate", retry_s=1),
    TooManyFailures: ProblemType(
        "too-many-failures", 429, "Too many requests without a valid key came from this address", retry_s=1
    ),
    TenantOverloaded: ProblemType(
        "tenant-overloaded", 429, "The tenant sends more at once than is taken", retry_s=1
    ),
    BacklogFull: ProblemType("tenant-backlog-full", 429, "The tenant has too many jobs waiting", retry_s=30),
    StorageFull: ProblemType("tenant-storage-full", 429, "The tenant keeps as much as it may", retry_s=60),
    WholeBacklogFull: ProblemType("backlog-full", 503, "Too many jobs are waiting", retry_s=30),
    HeadersTooLarge: ProblemType("headers-too-large", 431, "The headers are too large", closes=True),
    ClientGone: ProblemType("client-gone", 499, "The client left", closes=True),
    Overloaded: ProblemType("overloaded", 503, "More work is waiting than can be taken in time", retry_s=1),
    TooManyConnections: ProblemType(
        "too-many-connections", 503, "Too many connections are open", retry_s=1, closes=True
    ),
    ServerAway: ProblemType("record-away", 503, "The record cannot be reached", retry_s=2),
    ServerUnfit: ProblemType("record-away", 503, "The record cannot be reached", retry_s=2),
    CredentialsRefused: ProblemType("record-away", 503, "The record cannot be reached", retry_s=2),
    WritesRefused: ProblemType("record-read-only", 503, "The record takes nothing new", retry_s=5),
    ServerRefused: ProblemType("record-refused", 503, "The record refuses what is asked of it", retry_s=5),
    CacheAway: ProblemType("cache-away", 503, "Copies of the job cannot be reached", retry_s=2),
    TryAgain: ProblemType("record-away", 503, "The record cannot be reached", retry_s=1),
    OutcomeUnknown: ProblemType("outcome-unknown", 503, "It is not known whether this was done", retry_s=1),
}
HTTP: dict[int, ProblemType] = {
    404: ProblemType("not-found", 404, "There is nothing here"),
    405: ProblemType("method-not-allowed", 405, "This is not how to ask here"),
    500: ProblemType("internal", 500, "Something went wrong on our side"),
}
DETAILS: dict[type[BaseException] | None, str] = {
    BadRow: "The record does not take one of the values.",
    TryAgain: "The record is too busy at the moment; nothing was accepted.",
    ServerAway: "The record cannot be reached at the moment; nothing was accepted.",
    ServerUnfit: "The record cannot be used at the moment; nothing was accepted.",
    WritesRefused: "The record can be read, but takes nothing new at the moment; nothing was accepted.",
    ServerRefused: "The record refuses this at the moment; nothing was accepted. Our log says why.",
    CacheAway: "Copies of the job cannot be reached at the moment; nothing was deleted.",
    OutcomeUnknown: "The record did not answer in time; what was asked for may or may not have been done.",
}


def problem(error: BaseException, request_id: str, most_flaws: int = FLAWS) -> Reply:
    """Answer a request that ended in this error; anything unforeseen is a 500 that reveals nothing about the error."""
    kind, known = _find_type(error)
    flaws = error.flaws[:most_flaws] if isinstance(error, Invalid) else []
    detail = DETAILS.get(known, str(error)) if known else "The request id helps us to find out what."
    return _reply(kind, detail, flaws, request_id, _headers(error, kind))


def describe_problem(error: BaseException) -> tuple[ProblemType, str]:
    """Find the row of an error, and say what it means here, for answers that are no problem documents."""
    kind, known = _find_type(error)
    return kind, _cut(DETAILS.get(known, str(error)) if known else "Our log says what.")


def http_problem(status: int, detail: str, headers: list[Header], request_id: str) -> Reply:
    """Answer an error that has only a status (no route, wrong method)."""
    kind = HTTP.get(status) or ProblemType("http-error", status, "The request cannot be answered")
    return _reply(kind, detail, [], request_id, headers)


def _find_type(error: BaseException) -> tuple[ProblemType, type[BaseException] | None]:
    for each in type(error).__mro__:
        if each in TABLE:
            return TABLE[each], each
    return HTTP[500], None


def _headers(error: BaseException, kind: ProblemType) -> list[Header]:
    headers: list[Header] = []
    if isinstance(error, Unauthorized):
        extra = b', error="invalid_token"' if error.given else b""
        headers.append((b"www-authenticate", b'Bearer realm="sluice"' + extra))
    elif isinstance(error, Forbidden):
        scope = error.scope.encode()
        headers.append(
            (b"www-authenticate", b'Bearer realm="sluice", error="insufficient_scope", scope="%b"' % scope)
        )
    elif isinstance(error, UnsupportedMediaType):
        headers.append(error.wanted)
    if kind.retry_s is not None:
        headers.append((b"retry-after", b"%d" % getattr(error, "retry_after_s", kind.retry_s)))
    if kind.closes:
        headers.append(CLOSE)
    return headers


def _reply(kind: ProblemType, detail: str, flaws: list[Flaw], request_id: str, more: list[Header]) -> Reply:
    body = orjson.dumps(_document(kind, detail, flaws, request_id))
    headers = [(b"content-type", MEDIA_TYPE.encode()), content_length(body), NO_STORE, VARY, *more]
    return Reply(kind.status, headers, body)


def _document(kind: ProblemType, detail: str, flaws: list[Flaw], request_id: str) -> dict[str, Any]:
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": _cut(detail),
        "errors": [
            {"pointer": _cut(flaw.pointer), "code": _cut(flaw.code), "detail": _cut(flaw.detail)}
            for flaw in flaws
        ],
        "request_id": request_id,
        "retryable": kind.retry_s is not None,
    }


def _cut(text: str) -> str:
    """Shorten to ECHO characters, and replace those that UTF-8 cannot carry."""
    return text[:ECHO].encode("utf-8", "replace").decode()
