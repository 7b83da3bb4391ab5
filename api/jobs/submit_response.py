"""Build the answer to a submit: the job, and whether it is new, coalesced, reused or replayed."""

from __future__ import annotations

from api.http.asgi import Header
from api.http.response import Reply
from api.http.retry_after import RetryAfter, retry_soon
from api.jobs.job_response import accepted
from api.jobs.submit_result import SubmitResult
from sluice.core.document import show_under

_COLLAPSED: Header = (b"cache-status", b"sluice; fwd=miss; collapsed")
REPLAYED: Header = (b"idempotent-replayed", b"true")


def answer_submit(submitted: SubmitResult, retry_after: RetryAfter = retry_soon, prefix: str = "") -> Reply:
    """Make the answer: 202, or 200 if the job is finished already. Its links begin with this prefix."""
    document = show_under(prefix, submitted.document) if prefix else submitted.document
    reply = accepted(document, retry_after)
    if submitted.reused:
        reply.headers.append((b"cache-status", b"sluice; hit; ttl=%d" % submitted.ttl_s))
        reply.headers.append((b"age", b"%d" % submitted.age_s))
    elif submitted.coalesced:
        reply.headers.append(_COLLAPSED)
    if submitted.replayed:
        reply.headers.append(REPLAYED)
    return reply
