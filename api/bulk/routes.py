"""Routes for bulk acts: begin one, list and look them up, let one go on, abort it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.bulk.bulk_acts import BulkActs
from api.bulk.bulk_response import PATH, show_act, show_acts
from api.bulk.openapi import ACT, BEGIN, BEGUN, GO
from api.bulk.schemas import BulkActDocument, BulkActList, BulkActsQuery, read_new_act
from api.http.dependencies import By, Caller, Prefix, SmallJsonBody, Timing, Wait, provided
from api.http.errors import BadHeader
from api.http.openapi import name_of, problems
from api.http.request import header_values, read_validators, refuse_unknown
from api.http.response import ReplyResponse
from api.jobs.idempotency_key import read_idempotency_key
from api.jobs.openapi import LOOK_UP, UNCHANGED
from api.jobs.submit_response import REPLAYED
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.settings import Settings

ONE = PATH + "/{act_id}"
_VERSION = re.compile(rb'"(\d{1,9})"')

router = APIRouter(tags=["bulk"], generate_unique_id_function=name_of)
Acts = Annotated[BulkActs, provided(BulkActs)]
Chosen = Annotated[Settings, provided(Settings)]


async def check_query(request: Request, _: Caller) -> None:
    """Refuse parameters that a list does not have, or that come twice."""
    refuse_unknown(request, BulkActsQuery)


@router.post(
    PATH,
    summary="Begin a bulk act",
    status_code=202,
    response_model=BulkActDocument,
    responses={202: BEGUN, **problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)},
    openapi_extra=BEGIN,
)
async def begin_act(  # noqa: PLR0913  what it depends on, each by its name
    request: Request, body: SmallJsonBody, caller: Caller, acts: Acts, chosen: Chosen, by: By, prefix: Prefix
) -> Response:
    """Answers 202 at once. By default it only counts what would be changed, and waits for a `go`."""
    keep_s = max(chosen.keep_s, chosen.idempotency_keep_s)
    new = read_new_act(body, new_job_id(), caller.tenant, keep_s)
    act, replayed = await acts.begin(new, read_idempotency_key(request, body), by)
    return ReplyResponse(show_act(202, act, prefix), [REPLAYED] if replayed else [])


@router.get(
    PATH,
    summary="List bulk acts",
    response_model=BulkActList,
    response_description="Newest first",
    responses=problems(401, 403, 422, 503),
    dependencies=[Depends(check_query)],
)
async def list_acts(
    query: Annotated[BulkActsQuery, Query()], watch: Timing, caller: Caller, acts: Acts, prefix: Prefix
) -> Response:
    """Lists the bulk acts of the tenant page by page, those that have ended for as long as they are kept."""
    found, token = await acts.page(caller.tenant, query.page_size, query.page_token)
    watch.lap("record")
    return ReplyResponse(show_acts(found, token, prefix), watch.headers())


@router.get(
    ONE,
    summary="Look up a bulk act",
    response_model=BulkActDocument,
    responses={200: ACT, 304: UNCHANGED, **problems(401, 403, 404, 422, 503)},
    openapi_extra=LOOK_UP,
)
async def look_up_act(  # noqa: PLR0913  what it depends on, each by its name
    request: Request, act_id: str, watch: Timing, caller: Caller, wait: Wait, acts: Acts, prefix: Prefix
) -> Response:
    """Answers at once, or with `wait` when it has ended, waits for a `go`, or the time is up."""
    act = await acts.find(caller.tenant, act_id)
    watch.lap("look-up")
    with watch.waiting():
        act = await acts.until_it_rests(act, wait.seconds, request.receive)
    reply = show_act(200, act, prefix, read_validators(request))
    return ReplyResponse(reply, [*wait.headers, *watch.headers()])


@router.post(
    f"{ONE}/go",
    summary="Let a bulk act go on",
    response_model=BulkActDocument,
    responses={200: ACT, **problems(400, 401, 403, 404, 409, 503)},
    openapi_extra=GO,
)
async def go_on(
    request: Request, act_id: str, caller: Caller, acts: Acts, by: By, prefix: Prefix
) -> Response:
    """Answers 200 with the act, which goes on: with its canary after a dry run, with all the rest after the canary."""
    act = await acts.go(caller.tenant, act_id, _read_version(request), by)
    return ReplyResponse(show_act(200, act, prefix))


@router.post(
    f"{ONE}/abort",
    summary="Abort a bulk act",
    response_model=BulkActDocument,
    responses={200: ACT, **problems(401, 403, 404, 503)},
)
async def abort_act(act_id: str, caller: Caller, acts: Acts, by: By, prefix: Prefix) -> Response:
    """Answers 200 with the act; what it has done stays done. One that has ended stays as it is."""
    return ReplyResponse(show_act(200, await acts.abort(caller.tenant, act_id, by), prefix))


def _read_version(request: Request) -> int | None:
    """Read the version of If-Match. Raises BadHeader."""
    values = header_values(request, b"if-match")
    if not values or values == [b"*"]:
        return None
    if len(values) > 1 or not (match := _VERSION.fullmatch(values[0])) or int(match[1]) >= 2**31:
        raise BadHeader("If-Match is the ETag of the bulk act, as it came.")
    return int(match[1])
