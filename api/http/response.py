"""The answers that show a job: status, headers and body, made cheaply and in one place for both ways in.

Finished documents never change, so clients may keep them; all others are to be asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple

from api.http.errors import JobCancelled, JobFailed
from sluice.core.document import Document
from sluice.core.job import JobState

Header = tuple[bytes, bytes]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]

JSON: Header = (b"content-type", b"application/json")
CLOSE: Header = (b"connection", b"close")
VARY: Header = (b"vary", b"authorization")
NO_STORE: Header = (b"cache-control", b"no-store")
_KEEP: Header = (b"cache-control", b"private, max-age=3600, immutable")
_ASK_AGAIN: Header = (b"cache-control", b"private, no-cache")
_COLLAPSED: Header = (b"cache-status", b"sluice; fwd=miss; collapsed")
_REPLAYED: Header = (b"idempotent-replayed", b"true")
RETRY_AFTER: tuple[Header, ...] = tuple((b"retry-after", b"%d" % seconds) for seconds in range(31))
"""The header by seconds."""

LINGER_S = 1.0
"""How long a connection that is about to be closed still takes what its client is sending."""


class SubmitResult(NamedTuple):
    """The document of the job that does the work, and how it came to be the answer.

    `reused`: a finished result; `coalesced`: the same work was under way; `replayed`: the key was used before.
    `age_s` and `ttl_s` say how old a reused result is and for how long it may still be reused.
    """

    document: Document
    coalesced: bool = False
    reused: bool = False
    replayed: bool = False
    age_s: int = 0
    ttl_s: int = 0


class Reply(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: list[Header]
    body: bytes


def soon(document: Document) -> Header:
    """In 1 or 2 seconds. It differs from job to job, so that pollers who began together do not stay together."""
    return RETRY_AFTER[1 + (ord(document.id[-1]) & 1)]


Later = Callable[[Document], Header]
"""When to ask again for an unfinished job."""


def found(document: Document, later: Later = soon) -> Reply:
    """200 with the document."""
    return Reply(200, _headers(document, document.body, later), document.body)


def not_modified(document: Document, later: Later = soon) -> Reply:
    """304: the client has this very version."""
    return Reply(304, [_etag(document), *_freshness(document, later), VARY], b"")


def accepted(answer: SubmitResult, later: Later = soon) -> Reply:
    """The answer to a submit: 202, or 200 where the job is finished already."""
    document = answer.document
    headers = _headers(document, document.body, later)
    headers.append((b"location", b"/v1/jobs/" + document.id.encode()))
    if answer.reused:
        headers.append((b"cache-status", b"sluice; hit; ttl=%d" % answer.ttl_s))
        headers.append((b"age", b"%d" % answer.age_s))
    elif answer.coalesced:
        headers.append(_COLLAPSED)
    if answer.replayed:
        headers.append(_REPLAYED)
    return Reply(200 if document.finished else 202, headers, document.body)


def result(document: Document, later: Later = soon) -> Reply:
    """200 with the output alone, or 202 while there is none. Raises JobFailed, JobCancelled."""
    if document.state == JobState.FAILED:
        raise JobFailed
    if document.state == JobState.CANCELLED:
        raise JobCancelled
    if not document.finished:
        return accepted(SubmitResult(document), later)
    body = document.result
    return Reply(200, _headers(document, body, later), body)


def matches(if_none_match: bytes, document: Document) -> bool:
    """True where the client's validators include the document's (weak comparison, RFC 9110 §8.8.3.2)."""
    if if_none_match == b'"%d"' % document.version:
        return True
    wanted = b'"%d"' % document.version
    tags = [tag.strip() for tag in if_none_match.split(b",")]
    return b"*" in tags or wanted in [tag.removeprefix(b"W/") for tag in tags]


def _headers(document: Document, body: bytes, later: Later) -> list[Header]:
    length = (b"content-length", b"%d" % len(body))
    return [JSON, length, _etag(document), *_freshness(document, later), VARY]


def _etag(document: Document) -> Header:
    return (b"etag", (b'"%d"' if document.finished else b'W/"%d"') % document.version)


def _freshness(document: Document, later: Later) -> tuple[Header, ...]:
    return (_KEEP,) if document.finished else (_ASK_AGAIN, later(document))


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_last(reply: Reply, receive: Receive, send: Send) -> None:
    """Send the last answer of a connection, and take for a moment what the client is still sending.

    Closing with unread bytes resets the connection, and the client might never see why it was refused.
    """
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})
