"""Answers that show a job: status, headers and body, built cheaply in one place for the routes and the fast path.

Finished documents never change, so clients may keep them; all others have to be looked up again.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from api.http.asgi import Header
from api.http.errors import JobCancelled, JobFailed
from api.http.response import JSON, VARY, Reply, content_length
from api.http.retry_after import RetryAfter, retry_soon
from sluice.core.access import PAYLOADS
from sluice.core.document import Document, hide_result, show_under
from sluice.core.job import JobState

_TAG = re.compile(rb'(?:W/)?("\d{1,10})(?:[-;]{1,2}[a-z]{1,16})?"')
"""One of ours, as it was or as a proxy has marked it. From its beginning: to search a long one would take time with its square."""
_KEEP: Header = (b"cache-control", b"private, max-age=3600, immutable")
_ASK_AGAIN: Header = (b"cache-control", b"private, no-cache")


def found(document: Document, retry_after: RetryAfter = retry_soon) -> Reply:
    """Answer 200 with the document."""
    return Reply(200, _headers(document, document.body, retry_after), document.body)


def not_modified(document: Document, retry_after: RetryAfter = retry_soon) -> Reply:
    """Answer 304: the client has this very version."""
    return Reply(304, [_etag(document), *_freshness(document, retry_after), VARY], b"")


def accepted(document: Document, retry_after: RetryAfter = retry_soon) -> Reply:
    """Answer 202 with the document and where to look it up, or 200 if the job is finished already."""
    headers = _headers(document, document.body, retry_after)
    headers.append((b"location", b"/v1/jobs/" + document.id.encode()))
    return Reply(200 if document.finished else 202, headers, document.body)


def show_to(scopes: Collection[str], prefix: str, document: Document) -> Document:
    """Return the document as the holder of these scopes sees it, with links that begin with this prefix."""
    return show_under(prefix, document if PAYLOADS in scopes else hide_result(document))


def result(document: Document, retry_after: RetryAfter = retry_soon, prefix: str = "") -> Reply:
    """Answer 200 with the output alone, or 202 while there is none, with links that begin with this prefix.

    Raises JobFailed, JobCancelled.
    """
    if document.state == JobState.FAILED:
        raise JobFailed
    if document.state == JobState.CANCELLED:
        raise JobCancelled
    if not document.finished:
        return accepted(show_under(prefix, document), retry_after)
    body = document.result
    return Reply(200, _headers(document, body, retry_after), body)


def matches(if_none_match: bytes, document: Document) -> bool:
    """Return whether the client's validators include the document's (weak comparison, RFC 9110 §8.8.3.2).

    A proxy that compresses answers may have marked them: Apache sends `"4-gzip"` for `"4"`, and does not take it back.
    """
    wanted = b'"%d"' % document.version
    if if_none_match == wanted:
        return True
    tags = [tag.strip() for tag in if_none_match.split(b",")]
    return b"*" in tags or any((ours := _TAG.fullmatch(tag)) and ours[1] == wanted[:-1] for tag in tags)


def _headers(document: Document, body: bytes, retry_after: RetryAfter) -> list[Header]:
    return [JSON, content_length(body), _etag(document), *_freshness(document, retry_after), VARY]


def _etag(document: Document) -> Header:
    return (b"etag", document.etag.encode())


def _freshness(document: Document, retry_after: RetryAfter) -> tuple[Header, ...]:
    return (_KEEP,) if document.finished else (_ASK_AGAIN, retry_after(document))
