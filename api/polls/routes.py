"""The route that polls many jobs."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.body import read_json_body
from api.http.dependencies import Limits, Poller, Prefix, Timing, Wait, parts_of, provided
from api.http.held_bytes import HeldBody, HeldBytes
from api.http.openapi import name_of, problems, takes
from api.http.rate_limits import charge_more
from api.http.request import WaitRequest
from api.http.response import Reply, ReplyResponse, json_reply
from api.http.retry_after import RETRY_AFTER
from api.jobs.forecast import Forecast
from api.jobs.job_response import show_to
from api.jobs.openapi import POLL, POLLED
from api.polls.multi_poll import MultiPoll, Patience
from api.polls.poll import Poll
from api.polls.schemas import PollAnswer, PollRequest, read_poll
from sluice.core.runtime.settings import Settings

MOST_BODY = 128 * 1024
"""Bytes of a poll's body: twice what the most ids take, however they are laid out."""

IDS_PER_UNIT = 100
"""Jobs that count as one poll."""

router = APIRouter(tags=["jobs"], generate_unique_id_function=name_of)
Polls = Annotated[MultiPoll, provided(MultiPoll)]


@router.post(
    "/v1/jobs/poll",
    summary="Poll many jobs",
    response_model=PollAnswer,
    responses={
        200: {"description": "What is new", "headers": POLLED},
        **problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra=takes(PollRequest) | POLL,
)
async def poll_jobs(  # noqa: PLR0913  what it depends on, each by its name
    request: Request, watch: Timing, caller: Poller, wait: Wait, limits: Limits, polls: Polls, prefix: Prefix
) -> Response:
    """Answers with the jobs that have another version than the client knows, or with `wait` on the first change of any of them."""
    parts = parts_of(request)
    with HeldBody(parts[HeldBytes], caller.tenant) as held:
        body = await read_json_body(request, MOST_BODY, limits.timeout_s, held)
        asked = read_poll(body, parts[Settings].wait_cap_s)
        del body  # or it would be held until the wait is over
    await charge_more(request.scope, -(-len(asked.jobs) // IDS_PER_UNIT) or 1)
    watch.lap("body")
    if "wait" in asked.model_fields_set:
        wait = WaitRequest(asked.wait, [])
    poll = await polls.poll(caller.tenant, asked.jobs, Patience(wait.seconds, request.receive, watch.waiting))
    watch.lap("look-up")
    return ReplyResponse(
        _show(poll, parts[Forecast], caller.scopes, prefix), [*wait.headers, *watch.headers()]
    )


def _show(poll: Poll, forecast: Forecast, scopes: frozenset[str], prefix: str) -> Reply:
    documents = b",".join(show_to(scopes, prefix, forecast.fill_in(each)).body for each in poll.documents)
    rest = {"unknown": poll.unknown, "unfinished": len(poll.open), "more": poll.more}
    reply = json_reply(200, b'{"jobs":[%b],%b' % (documents, orjson.dumps(rest)[1:]))
    if poll.open and not poll.more:
        reply.headers.append(RETRY_AFTER[poll.retry_s])
    return reply
