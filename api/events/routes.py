"""Routes for what is heard of jobs: what a handler has logged."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.events.job_logs import JobLogs
from api.events.schemas import LogLines, LogQuery, write_token
from api.http.dependencies import Caller, provided
from api.http.openapi import name_of, problems
from api.http.request import refuse_unknown
from api.http.response import ReplyResponse, json_reply

router = APIRouter(tags=["jobs"], generate_unique_id_function=name_of)
Logs = Annotated[JobLogs, provided(JobLogs)]


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
