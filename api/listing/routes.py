"""Routes for many jobs: list them, cancel or retry them by a filter."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.http.dependencies import (
    By,
    Caller,
    Prefix,
    Rates,
    SmallJsonBody,
    Submitter,
    Timing,
    provided,
    start_timing,
)
from api.http.openapi import RATE, name_of, problems, takes
from api.http.request import refuse_unknown
from api.http.response import ReplyResponse, json_reply
from api.listing.bulk import Bulk, BulkResult
from api.listing.listing import JobQuery, Listing
from api.listing.schemas import BulkAnswer, BulkRequest, JobList, ListQuery, read_bulk
from sluice.core.document import render_item

router = APIRouter(tags=["jobs"], generate_unique_id_function=name_of)
Lists = Annotated[Listing, provided(Listing)]
BulkChanges = Annotated[Bulk, provided(Bulk)]


async def check_query(request: Request, _: Caller) -> None:
    """Refuse parameters that a list does not have, or that come twice; only states may be several."""
    refuse_unknown(request, ListQuery, repeatable={"state"})


@router.get(
    "/v1/jobs",
    summary="List jobs",
    response_model=JobList,
    response_description="A page",
    responses=problems(401, 403, 422, 503),
    dependencies=[Depends(start_timing), Depends(check_query)],
)
async def list_jobs(
    query: Annotated[ListQuery, Query()], watch: Timing, caller: Caller, listing: Lists, prefix: Prefix
) -> Response:
    """Lists the newest first, without results; a page may have fewer jobs than asked for, and only a null token is the end."""
    watch.lap("key")
    page = await listing.page(
        JobQuery(caller.tenant, "list", query.wanted), query.page_size, query.page_token
    )
    watch.lap("record")
    items = b",".join(render_item(job, prefix) for job in page.jobs)
    body = b'{"jobs":[%s],"next_page_token":%s}' % (items, orjson.dumps(page.next_token))
    return ReplyResponse(json_reply(200, body), watch.headers())


@router.post(
    "/v1/jobs/cancel",
    summary="Cancel jobs by filter",
    status_code=202,
    response_model=BulkAnswer,
    response_description="What was or would be cancelled",
    responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
    openapi_extra=takes(BulkRequest),
)
async def cancel_jobs(body: SmallJsonBody, caller: Caller, bulk: BulkChanges, by: By) -> Response:
    """Does to each matching job what its own cancel does; a dry run, which is the default, only lists them."""
    request = read_bulk(body)
    return _show_bulk(request, await bulk.cancel(caller.tenant, request, by))


@router.post(
    "/v1/jobs/retry",
    summary="Try failed jobs again by filter",
    status_code=202,
    response_model=BulkAnswer,
    response_description="What was or would be tried again",
    responses={202: {"headers": RATE}, **problems(400, 401, 403, 408, 413, 415, 422, 429, 503)},
    openapi_extra=takes(BulkRequest),
)
async def retry_jobs(
    caller: Submitter, body: SmallJsonBody, bulk: BulkChanges, by: By, rates: Rates
) -> Response:
    """Makes a new job for each matching failed one that has none; a dry run, which is the default, only lists them."""
    request = read_bulk(body)
    done = await bulk.retry(caller.tenant, request, by)
    rates.submits.owe(caller.key_id, max(0, done.changed - 1))
    return _show_bulk(request, done, retries=done.retries)


def _show_bulk(request: BulkRequest, done: BulkResult, **more: Any) -> Response:
    shown = {
        "matched": len(done.page.jobs),
        "changed": done.changed,
        "dry_run": request.dry_run,
        "jobs": [job.id for job in done.page.jobs],
        "more": done.page.next_token is not None,
        "next_page_token": done.page.next_token,
    }
    return ReplyResponse(json_reply(202, orjson.dumps(shown | more)))
