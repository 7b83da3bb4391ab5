"""Describe what requests about batches may carry besides their body, and what the answers carry."""

from __future__ import annotations

from api.batches.schemas import BatchItem, BatchRequest, RefusedBatch, SubmittedBatch
from api.http.openapi import LOCATION, RATE, REF, Json, problems, takes
from api.http.schemas import Problem
from api.jobs.openapi import IDEMPOTENCY_KEY, RETRY, WAITED
from api.jobs.schemas import JobDocument

RESULTS: Json = {
    "description": "The documents of its finished jobs, each in a line",
    "headers": WAITED,
    "content": {"application/x-ndjson": {"schema": {"$ref": REF + JobDocument.__name__}}},
}
SUBMIT_BATCH: Json = {"parameters": [IDEMPOTENCY_KEY], **takes(BatchRequest)}
SUBMIT_BATCH["requestBody"]["content"]["application/x-ndjson"] = {
    "schema": {"$ref": REF + BatchItem.__name__}
}
BATCH_REFUSED: Json = problems(422)[422] | {
    "model": RefusedBatch,
    "content": {
        "application/problem+json": {
            "schema": {"anyOf": [{"$ref": REF + each.__name__} for each in (RefusedBatch, Problem)]}
        }
    },
}
BATCH_ACCEPTED: Json = {
    "model": SubmittedBatch,
    "description": "What came of each item, in order",
    "headers": RETRY
    | RATE
    | LOCATION
    | {
        "Idempotent-Replayed": {
            "description": "The key was used before: this is its batch",
            "schema": {"type": "string", "enum": ["true"]},
        },
    },
}
