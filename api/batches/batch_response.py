"""Answers that show a batch: as a whole, and with what came of each item."""

from __future__ import annotations

import orjson

from api.http.asgi import Header
from api.http.problems import problem
from api.http.response import CLOSE, JSON, VARY, Reply, content_length
from api.http.retry_after import RetryAfter
from api.jobs.job_response import matches
from sluice.core.batch import Batch
from sluice.core.document import Document
from sluice.core.errors import BatchRefused

_ASK_AGAIN: Header = (b"cache-control", b"private, no-cache")


def show_batch(batch: Batch, retry_after: RetryAfter, prefix: str, validators: bytes = b"") -> Reply:
    """Answer 200 with the batch, or 304 if the client has this version."""
    headers = _freshness(batch, retry_after)
    if validators and matches(validators, _as_document(batch)):
        return Reply(304, headers, b"")
    body = _render(batch, prefix)
    return Reply(200, [JSON, content_length(body), *headers], body)


def show_submitted(
    batch: Batch, items: bytes, stopped: Reply | None, retry_after: RetryAfter, prefix: str
) -> Reply:
    """Answer 202 with the batch, with what came of each item, and with the problem for which no more of them were read, if so."""
    end = b',"stopped":%b' % stopped.body if stopped else b""
    body = b'%b,"items":[%b]%b}' % (_render(batch, prefix)[:-1], items, end)
    headers = [JSON, content_length(body), *_freshness(batch, retry_after)]
    headers.append((b"location", f"/v1/batches/{batch.id}".encode()))
    return Reply(202, [*headers, CLOSE] if stopped else headers, body)


def show_refused(error: BatchRefused, items: bytes, request_id: str) -> Reply:
    """Answer 422 with the problems of the refused items."""
    reply = problem(error, request_id)
    body = b'%b,"items":[%b]}' % (reply.body[:-1], items)
    headers = [
        content_length(body) if header == content_length(reply.body) else header for header in reply.headers
    ]
    return Reply(reply.status, headers, body)


def _render(batch: Batch, prefix: str) -> bytes:
    return orjson.dumps(
        {
            "id": batch.id,
            "state": "running" if batch.counts.unfinished else "finished",
            "version": batch.version,
            "total": sum(batch.counts),
            "counts": batch.counts._asdict(),
            "links": {
                "self": f"{prefix}/v1/batches/{batch.id}",
                "results": f"{prefix}/v1/batches/{batch.id}/results",
            },
        }
    )


def _freshness(batch: Batch, retry_after: RetryAfter) -> list[Header]:
    """Never as what will not change: jobs of a finished batch can be deleted."""
    headers = [(b"etag", b'W/"%d"' % batch.version), _ASK_AGAIN, VARY]
    return [*headers, retry_after(_as_document(batch))] if batch.counts.unfinished else headers


def _as_document(batch: Batch) -> Document:
    """Return what tells when to ask again: the last of its jobs that is unfinished."""
    since = batch.since.timestamp() if batch.since else 0.0
    return Document(batch.id, "", batch.version, batch.state or "", 0, 0, b"", batch.lane or "", since)
