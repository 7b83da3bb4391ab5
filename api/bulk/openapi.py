"""Describe what requests about bulk acts may carry besides their body, and what the answers carry."""

from __future__ import annotations

from api.bulk.schemas import BulkActDocument, BulkActRequest
from api.http.openapi import LOCATION, Json, takes
from api.jobs.openapi import IDEMPOTENCY_KEY, RETRY, WAITED

ACT: Json = {"model": BulkActDocument, "description": "The bulk act as it stands", "headers": RETRY | WAITED}
BEGUN: Json = {
    "model": BulkActDocument,
    "description": "Begun",
    "headers": RETRY
    | LOCATION
    | {
        "Idempotent-Replayed": {
            "description": "The key was used before: this is its act",
            "schema": {"type": "string", "enum": ["true"]},
        },
    },
}
BEGIN: Json = {"parameters": [IDEMPOTENCY_KEY], **takes(BulkActRequest)}
GO: Json = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "description": "The ETag that you have seen; 409 if the act has moved on since",
            "schema": {"type": "string", "pattern": r'^(\*|"\d{1,9}")$'},
        }
    ]
}
