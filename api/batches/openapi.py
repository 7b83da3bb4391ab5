"""Describe what requests about batches may carry besides their body, and what the answers carry."""

from __future__ import annotations

from api.batches.schemas import BatchItem, BatchRequest, SubmittedBatch
from api.http.openapi import RATE, REF, Json, takes
from api.jobs.openapi import IDEMPOTENCY_KEY, RETRY, TIMING, WAITED
from api.jobs.schemas import JobDocument

RESULTS: Json = {
    "description": "The documents of its finished jobs, each in a line",
    "headers": WAITED,
    "content": {"application/x-ndjson": {"schema": {"$ref": REF + JobDocument.__name__}}},
}
SUBMIT_BATCH: Json = {"parameters": [TIMING, IDEMPOTENCY_KEY], **takes(BatchRequest)}
SUBMIT_BATCH["requestBody"]["content"]["application/x-ndjson"] = {
    "schema": {"$ref": REF + BatchItem.__name__}
}
BATCH_ACCEPTED: Json = {
    "model": SubmittedBatch,
    "description": "What came of each item, in order",
    "headers": RETRY
    | RATE
    | {
        "Location": {
            "description": "Where the batch is looked up",
            "schema": {"type": "string", "format": "uri-reference"},
        },
        "Idempotent-Replayed": {
            "description": "The key was used before: this is its batch",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Server-Timing": WAITED["Server-Timing"],
    },
}
