"""Describe what requests about jobs may carry besides their body, and what the answers to them carry."""

from __future__ import annotations

from api.http.openapi import LOCATION, RATE, Json
from api.jobs.schemas import JobDocument

IDEMPOTENCY_KEY_PATTERN = r'^("[ !#-~]{1,255}"|[!#-~][!-~]{0,254})$'
ETAG_PATTERN = r'^(W/)?"\d+"$'


def _header(text: str, **schema: object) -> Json:
    return {"description": text, "schema": schema}


_WAIT = {
    "name": "wait",
    "in": "query",
    "description": "Seconds to wait, also a fraction; `Prefer: wait=N` does the same",
    "schema": {"type": "number", "minimum": 0},
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N` waits as `?wait=N` does, but is never refused",
    "schema": {"type": "string", "examples": ["wait=10"]},
}
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request answers with the same job; quoted or bare",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257, "pattern": IDEMPOTENCY_KEY_PATTERN},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag you have; 304 where it is still right",
    "schema": {"type": "string"},
}
POLL: Json = {"parameters": [_WAIT, _PREFER]}
LOOK_UP: Json = {"parameters": [_WAIT, _PREFER, _IF_NONE_MATCH]}
SUBMIT: Json = {"parameters": [_WAIT, _PREFER, IDEMPOTENCY_KEY]}

ETAG: Json = {
    "ETag": _header(
        "Strong once finished, weak before, and where the result is hidden",
        type="string",
        pattern=ETAG_PATTERN,
    )
}
_RETRY_AFTER: Json = {
    "Retry-After": _header("Seconds until it is worth asking again", type="integer", minimum=1, maximum=60)
}
RETRY: Json = ETAG | _RETRY_AFTER
WAITED: Json = {
    "Preference-Applied": _header("How long the request could wait, if it came with `Prefer`", type="string")
}
POLLED: Json = _RETRY_AFTER | WAITED
_SUBMITTED: Json = (
    WAITED
    | RATE
    | {
        "Idempotent-Replayed": _header(
            "The key was used before: this is its job", type="string", enum=["true"]
        ),
        "Cache-Status": _header("Whether an earlier result or a job under way is the answer", type="string"),
    }
)
_AGE: Json = {"Age": _header("Seconds since an earlier result that is reused", type="integer", minimum=0)}

FINISHED: Json = {
    "model": JobDocument,
    "description": "Finished: the result is in it",
    "headers": LOCATION | ETAG | _SUBMITTED | _AGE,
}
ACCEPTED: Json = {
    "model": JobDocument,
    "description": "Accepted, not finished",
    "headers": LOCATION | RETRY | _SUBMITTED,
}
RETRIED: Json = {"model": JobDocument, "description": "The new job", "headers": LOCATION | RETRY | RATE}
RETRIED_BEFORE: Json = {
    "model": JobDocument,
    "description": "The new job, made before and finished by now",
    "headers": LOCATION | ETAG | RATE,
}
NO_OUTPUT_YET: Json = {
    "model": JobDocument,
    "description": "Not finished: the job as it stands",
    "headers": LOCATION | RETRY | WAITED,
}
UNCHANGED: Json = {"description": "You have it already", "headers": RETRY | WAITED}
