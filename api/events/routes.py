"""Routes for what is heard of jobs: what a handler has logged, and streams of events."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.events.event import read_cursor
from api.events.event_response import EventResponse
from api.events.job_logs import JobLogs
from api.events.openapi import NOTHING_MORE, STREAM, stream_of
from api.events.schemas import LogLines, LogQuery, write_token
from api.events.stream import JobStream, TenantStream
from api.http.dependencies import Caller, Prefix, provided
from api.http.openapi import name_of, problems
from api.http.request import header_values, refuse_unknown
from api.http.response import ReplyResponse, json_reply, no_content
from api.jobs.lookup import Lookup

router = APIRouter(tags=["jobs"], generate_unique_id_function=name_of)
Logs = Annotated[JobLogs, provided(JobLogs)]
Documents = Annotated[Lookup, provided(Lookup)]


async def check_query(request: Request, _: Caller) -> None:
    """Refuse parameters that a log does not have, or that come twice."""
    refuse_unknown(request, LogQuery)


@router.get(
    "/v1/jobs/{job_id}/logs",
    summary="Read what the handler logged",
    response_model=LogLines,
    response_description="A page",
    responses=problems(401, 403, 404, 410, 422, 503),
    dependencies=[Depends(check_query)],
)
async def read_logs(job_id: str, query: Annotated[LogQuery, Query()], caller: Caller, logs: Logs) -> Response:
    """Shows the lines of all attempts that are kept, the oldest first."""
    page = await logs.page(caller.tenant, job_id, query.after, query.page_size)
    token = write_token(page.lines[-1].place) if page.more else None
    lines = b",".join(line.text for line in page.lines)
    rest = orjson.dumps({"next_page_token": token, "cut": page.cut})
    return ReplyResponse(json_reply(200, b'{"lines":[%b],%b' % (lines, rest[1:])))


@router.get(
    "/v1/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=Response,
    response_model=None,
    responses={
        200: stream_of("What happens to the job, until it has ended"),
        204: NOTHING_MORE,
        **problems(401, 403, 404, 410, 503),
    },
    openapi_extra=STREAM,
)
async def follow_job(
    request: Request, job_id: str, caller: Caller, lookup: Documents, prefix: Prefix
) -> Response:
    """Sends `state`, `progress` and `log` as they come, and closes after `end`; with `Last-Event-ID` it goes on behind that."""
    document = await lookup.find(caller.tenant, job_id)
    cursor = read_cursor(_last_event_id(request))
    if cursor is None:
        return EventResponse(request, JobStream(caller.tenant, prefix, job_id))
    if document.finished and cursor[0] == document.version:
        return ReplyResponse(no_content())  # which is how browsers are told not to come again
    return EventResponse(request, JobStream(caller.tenant, prefix, job_id, *cursor))


@router.get(
    "/v1/events",
    summary="Follow all jobs",
    response_class=Response,
    response_model=None,
    responses={200: stream_of("What happens to the jobs of the tenant"), **problems(401, 403, 503)},
    openapi_extra=STREAM,
)
async def follow_all_jobs(request: Request, caller: Caller, prefix: Prefix) -> Response:
    """Sends the events of every job of the tenant from now on; what was missed before is told by `reset` alone."""
    stream = TenantStream(caller.tenant, prefix)
    stream.behind = bool(_last_event_id(request))
    return EventResponse(request, stream)


def _last_event_id(request: Request) -> bytes:
    return b"".join(header_values(request, b"last-event-id")[:1])
