"""List jobs, see failed ones by their error, cancel or retry many at once."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.http.auth import ServerTiming, authenticate
from api.http.body import check_headers, read_body
from api.http.reply_response import ReplyResponse, state_of
from api.http.response import JSON, NO_STORE, VARY, Reply
from api.keys.keyring import Identity
from api.listing.bulk import Done
from api.listing.filters import BulkRequest, read_bulk, read_query
from api.listing.listing import Question
from api.listing.openapi import CANCEL_MANY, ERRORS, LIST, RETRY_MANY
from api.state import ENVELOPE
from sluice.core.document import render_item
from sluice.core.listing import ErrorGroup

SHOWN = 256
"""Characters of an error's detail that its group shows."""


def add_routes(app: FastAPI) -> None:
    """Everything that is about many jobs."""
    app.add_api_route("/v1/jobs", list_jobs, methods=["GET"], **LIST)
    app.add_api_route("/v1/jobs/cancel", cancel_jobs, methods=["POST"], **CANCEL_MANY)
    app.add_api_route("/v1/jobs/retry", retry_jobs, methods=["POST"], **RETRY_MANY)
    app.add_api_route("/v1/errors", list_errors, methods=["GET"], **ERRORS)


async def list_jobs(request: Request) -> Response:
    """Newest first, without results; a page may have fewer jobs than asked for, and only a null token is the end."""
    state, watch = state_of(request), ServerTiming(request)
    caller = await authenticate(request, state.keyring)
    watch.lap("key")
    asked = read_query(request.query_params.multi_items())
    page = await state.listing.page(
        Question(caller.tenant, "list", asked.wanted), asked.page_size, asked.page_token
    )
    watch.lap("record")
    items = b",".join(map(render_item, page.jobs))
    body = b'{"jobs":[%s],"next_page_token":%s}' % (items, orjson.dumps(page.next_token))
    return ReplyResponse(_reply(200, body), watch.headers())


async def cancel_jobs(request: Request) -> Response:
    """Does to each job that fits what its own cancel does; a dry run, which is the default, only says to which."""
    caller, asked = await _asked(request)
    return _answer(asked, await state_of(request).bulk.cancel(caller.tenant, asked))


async def retry_jobs(request: Request) -> Response:
    """Makes a new job for each failed one that fits and has none; a dry run, which is the default, only says for which."""
    caller, asked = await _asked(request)
    done = await state_of(request).bulk.retry(caller.tenant, asked)
    return _answer(asked, done, retries=done.retries)


async def list_errors(request: Request) -> Response:
    """The newest failures of the last seven days, at most 1,000, by kind and error fingerprint."""
    state = state_of(request)
    caller = await authenticate(request, state.keyring)
    found = await state.listing.errors(caller.tenant)
    body = {"errors": list(map(_shown, found.groups)), "failures": found.failures, "more": found.more}
    return ReplyResponse(_reply(200, orjson.dumps(body, option=orjson.OPT_UTC_Z)))


async def _asked(request: Request) -> tuple[Identity, BulkRequest]:
    state = state_of(request)
    caller = await authenticate(request, state.keyring)
    check_headers(request.scope["headers"], ENVELOPE)
    return caller, read_bulk(await read_body(request.receive, ENVELOPE, state.settings.body_timeout_s))


def _answer(asked: BulkRequest, done: Done, **more: Any) -> Response:
    body = {
        "matched": len(done.page.jobs),
        "changed": done.changed,
        "dry_run": asked.dry_run,
        "jobs": [job.id for job in done.page.jobs],
        "more": done.page.next_token is not None,
        "next_page_token": done.page.next_token,
    }
    return ReplyResponse(_reply(202, orjson.dumps(body | more)))


def _shown(group: ErrorGroup) -> dict[str, Any]:
    error = orjson.loads(group.error or b"{}")
    return {
        "fingerprint": group.fingerprint,
        "kind": group.kind,
        "type": error.get("type", ""),
        "title": error.get("title", ""),
        "detail": error.get("detail", "")[:SHOWN],
        "count": group.failures,
        "newest_at": group.newest,
        "example": group.example,
    }


def _reply(status: int, body: bytes) -> Reply:
    return Reply(status, [JSON, (b"content-length", b"%d" % len(body)), NO_STORE, VARY], body)
