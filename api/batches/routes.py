"""Routes for batches: submit many jobs with one request, and look them up as a whole."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.batches.batch_response import show_batch, show_refused, show_submitted
from api.batches.batch_wait import BatchWaiting
from api.batches.batches import Batches, Opened
from api.batches.lines_response import LinesResponse, SendLine
from api.batches.openapi import BATCH_ACCEPTED, BATCH_REFUSED, RESULTS, SUBMIT_BATCH
from api.batches.outcomes import ItemOutcomes
from api.batches.results import BatchResults
from api.batches.schemas import BatchDocument, SubmittedBatch
from api.batches.submit_batch import submit_json, submit_lines
from api.http.asgi import Header, Receive
from api.http.body import announces_lines
from api.http.dependencies import Held, Poller, Prefix, Submitter, Timing, Wait, provided
from api.http.edge import request_id_of
from api.http.openapi import name_of, problems
from api.http.problems import problem
from api.http.request import read_validators
from api.http.response import ReplyResponse
from api.http.retry_after import RetryAfterAdvisor
from api.jobs.openapi import LOOK_UP, POLL, RETRY, UNCHANGED, WAITED
from api.jobs.submit_response import REPLAYED
from sluice.core.document import Document, show_under
from sluice.core.errors import TRANSIENT, BatchRefused

router = APIRouter(tags=["batches"], generate_unique_id_function=name_of)
Waits = Annotated[BatchWaiting, provided(BatchWaiting)]
Results = Annotated[BatchResults, provided(BatchResults)]
AllBatches = Annotated[Batches, provided(Batches)]
Advice = Annotated[RetryAfterAdvisor, provided(RetryAfterAdvisor)]


@router.post(
    "/v1/batches",
    summary="Submit many jobs",
    status_code=202,
    response_model=SubmittedBatch,
    responses={
        202: BATCH_ACCEPTED,
        422: BATCH_REFUSED,
        **problems(400, 401, 403, 408, 413, 415, 429, 503),
    },
    openapi_extra=SUBMIT_BATCH,
)
async def submit_batch(
    request: Request, watch: Timing, caller: Submitter, held: Held, advice: Advice, prefix: Prefix
) -> Response:
    """Answers 202 with what came of each item: its job, or why it is refused. What is valid is accepted, with `atomic` all or none."""
    request_id = request_id_of(request.scope)
    outcomes = ItemOutcomes(prefix, request_id)
    submit = submit_lines if announces_lines(request.scope["headers"]) else submit_json
    try:
        opened, stopped = await submit(request, caller, held, outcomes)
    except BatchRefused as error:
        return ReplyResponse(show_refused(error, outcomes.show(), request_id))
    watch.lap("submit")
    why = problem(stopped, request_id) if stopped else None
    reply = show_submitted(outcomes.count(opened.id), outcomes.show(), why, advice, prefix)
    return ReplyResponse(reply, [*_replayed(opened), *watch.headers()])


@router.get(
    "/v1/batches/{batch_id}",
    summary="Look up a batch",
    response_model=BatchDocument,
    responses={
        200: {"description": "The batch as it stands", "headers": RETRY | WAITED},
        304: UNCHANGED,
        **problems(401, 403, 404, 422, 429, 503),
    },
    openapi_extra=LOOK_UP,
)
async def look_up_batch(  # noqa: PLR0913  what it depends on, each by its name
    request: Request,
    batch_id: str,
    watch: Timing,
    caller: Poller,
    wait: Wait,
    batches: AllBatches,
    waiting: Waits,
    advice: Advice,
    prefix: Prefix,
) -> Response:
    """Answers at once with the numbers of its jobs by state, or with `wait` when the last one has ended, or the time is up."""
    batch = await batches.find(caller.tenant, batch_id)
    watch.lap("look-up")
    if wait.seconds and batch.counts.unfinished:
        with watch.waiting():
            await waiting.until_finished(caller.tenant, batch, wait.seconds, request.receive)
        with suppress(*TRANSIENT):  # what is known stays an answer
            batch = await batches.find(caller.tenant, batch_id)
    reply = show_batch(batch, advice, prefix, read_validators(request))
    return ReplyResponse(reply, [*wait.headers, *watch.headers()])


@router.get(
    "/v1/batches/{batch_id}/results",
    summary="Take the results of a batch",
    status_code=200,
    response_class=LinesResponse,
    response_model=None,
    responses={200: RESULTS, **problems(401, 403, 404, 422, 429, 503)},
    openapi_extra=POLL,
)
async def take_results(
    batch_id: str, watch: Timing, caller: Poller, wait: Wait, results: Results, prefix: Prefix
) -> Response:
    """Answers with the finished jobs, a document in each line, and with `wait` with those that finish meanwhile."""
    jobs = await results.find(caller.tenant, batch_id)
    watch.lap("look-up")

    async def write(send_line: SendLine, receive: Receive) -> None:
        async def emit(document: Document) -> None:
            await send_line(show_under(prefix, document).body)

        with watch.waiting():
            await results.follow(jobs, wait.seconds, receive, emit)

    return LinesResponse(write, [*wait.headers, *watch.headers()])


def _replayed(opened: Opened) -> list[Header]:
    return [REPLAYED] if opened.replayed else []
