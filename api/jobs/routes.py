"""Routes for one job: submit it, look it up, get its result, cancel it, retry it, delete it, list its attempts.

Submits and look-ups are frequent, so they read the request themselves; the other routes leave that to FastAPI.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.auth import authenticate
from api.http.body import BodyLimits, read_json_body
from api.http.dependencies import By, Caller, Poller, Prefix, Submitter, Timing, Wait, parts_of, provided
from api.http.edge import TRACEPARENT
from api.http.errors import KindMissing
from api.http.held_bytes import HeldBody, HeldBytes
from api.http.openapi import name_of, problems
from api.http.prefix import prefix_of
from api.http.rate_limits import RateLimits, charge
from api.http.request import ServerTiming, read_validators, read_wait
from api.http.response import ReplyResponse, json_reply, no_content
from api.http.retry_after import RetryAfterAdvisor
from api.jobs.control import Control
from api.jobs.forecast import Forecast
from api.jobs.idempotency_key import IdempotencyKey, read_idempotency_key
from api.jobs.job_response import (
    accepted,
    found,
    matches,
    not_modified,
    result,
    show_to,
)
from api.jobs.lookup import Lookup
from api.jobs.make_job import SubmitRequest
from api.jobs.openapi import (
    ACCEPTED,
    ETAG,
    FINISHED,
    LOOK_UP,
    NO_OUTPUT_YET,
    RETRIED,
    RETRIED_BEFORE,
    RETRY,
    SUBMIT,
    UNCHANGED,
    WAITED,
)
from api.jobs.prepared_job import PreparedJob
from api.jobs.schemas import AttemptList, JobDocument
from api.jobs.submit import Submission
from api.jobs.submit_body import prepare_body, read_bare, read_submit
from api.jobs.submit_response import answer_submit
from api.jobs.wait import Waiting
from api.keys.keyring import Keyring
from sluice.core.access import OPERATOR
from sluice.core.document import mark_coalesced
from sluice.core.ports import AttemptRecord
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings
from sluice.core.strict_json import Raw

JOB = "/v1/jobs/{job_id}"

router = APIRouter(tags=["jobs"], generate_unique_id_function=name_of)
JobControl = Annotated[Control, provided(Control)]
Documents = Annotated[Lookup, provided(Lookup)]
Waits = Annotated[Waiting, provided(Waiting)]
Advice = Annotated[RetryAfterAdvisor, provided(RetryAfterAdvisor)]


@router.post(
    "/v1/jobs",
    summary="Submit a job",
    status_code=202,
    response_model=JobDocument,
    responses={200: FINISHED, 202: ACCEPTED, **problems(400, 401, 403, 408, 410, 413, 415, 422, 429, 503)},
    openapi_extra=SUBMIT,
)
async def submit_job(request: Request) -> Response:
    """Answers 202 with the job as it stands, or 200 if its result is known already or arrives while the request waits."""
    parts, watch = parts_of(request), ServerTiming(request)
    caller = await authenticate(request, parts[Keyring])
    await charge(request.scope, parts[RateLimits].submits, caller.key_id, shown=True)
    watch.lap("key")
    read = partial(read_submit, scopes=caller.scopes)
    return await _submit(request, caller.tenant, read, parts[BodyLimits].largest, watch)


@router.post("/v1/kinds/{kind}/jobs", include_in_schema=False)
async def submit_to_kind(request: Request, kind: str) -> Response:
    """Takes the bare input as the body."""
    parts, watch = parts_of(request), ServerTiming(request)
    caller = await authenticate(request, parts[Keyring])
    await charge(request.scope, parts[RateLimits].submits, caller.key_id, shown=True)
    watch.lap("key")
    if kind not in parts[Registry]:
        raise KindMissing(kind)
    limit = parts[Registry][kind].max_input
    return await _submit(request, caller.tenant, partial(read_bare, kind), limit, watch)


@router.get(
    JOB,
    summary="Look up a job",
    response_model=JobDocument,
    responses={
        200: {"description": "The job as it stands", "headers": RETRY | WAITED},
        304: UNCHANGED,
        **problems(401, 403, 404, 410, 422, 429, 503),
    },
    openapi_extra=LOOK_UP,
)
async def look_up_job(request: Request, job_id: str) -> Response:
    """Answers at once, or with `wait` on the first change, at the latest when the time is up."""
    parts, watch = parts_of(request), ServerTiming(request)
    caller = await authenticate(request, parts[Keyring])
    await charge(request.scope, parts[RateLimits].polls, caller.key_id)
    watch.lap("key")
    wait = read_wait(request, parts[Settings].wait_cap_s)
    validators = read_validators(request)
    document = await parts[Lookup].find(caller.tenant, job_id)
    watch.lap("look-up")
    known = matches(validators, document) if validators else True
    if wait.seconds and known:
        with watch.waiting():
            document = await parts[Waiting].wait(caller.tenant, document, wait.seconds, request.receive)
    unchanged = bool(validators) and matches(validators, document)
    shown = show_to(caller.scopes, prefix_of(request.scope), parts[Forecast].fill_in(document))
    reply = (not_modified if unchanged else found)(shown, parts[RetryAfterAdvisor])
    return ReplyResponse(reply, [*wait.headers, *watch.headers()])


@router.get(
    f"{JOB}/result",
    summary="Take the output alone",
    response_model=None,
    response_description="The output",
    responses={
        200: {"description": "The output", "headers": ETAG | WAITED},
        202: NO_OUTPUT_YET,
        304: UNCHANGED,
        **problems(401, 403, 404, 409, 410, 422, 429, 503),
    },
    openapi_extra=LOOK_UP,
)
async def take_result(  # noqa: PLR0913  what it depends on, each by its name
    request: Request,
    job_id: str,
    watch: Timing,
    caller: Poller,
    wait: Wait,
    lookup: Documents,
    waiting: Waits,
    advice: Advice,
) -> Response:
    """Answers 202 while there is none yet, and 409 if there never will be one."""
    document = await lookup.find(caller.tenant, job_id)
    watch.lap("look-up")
    if wait.seconds:
        with watch.waiting():
            document = await waiting.until_finished(document, wait.seconds, request.receive)
    reply, validators = result(document, advice, prefix_of(request.scope)), read_validators(request)
    if reply.status == 200 and validators and matches(validators, document):
        reply = not_modified(document)
    return ReplyResponse(reply, [*wait.headers, *watch.headers()])


@router.post(
    f"{JOB}/cancel",
    summary="Cancel a job",
    response_model=JobDocument,
    responses={
        200: {"description": "Cancelled, or as it had ended before", "headers": ETAG},
        202: {"model": JobDocument, "description": "It runs, and was asked to stop", "headers": RETRY},
        **problems(401, 403, 404, 410, 503),
    },
)
async def cancel_job(
    job_id: str, caller: Caller, control: JobControl, advice: Advice, prefix: Prefix
) -> Response:
    """Answers 200 with the cancelled job, or with one that had ended before; 202 if it is running and was asked to stop."""
    document = await control.cancel(caller.tenant, job_id)
    reply = found(show_to(caller.scopes, prefix, document), advice)
    return ReplyResponse(reply if document.finished else reply._replace(status=202))


@router.post(
    f"{JOB}/retry",
    summary="Try a failed job again",
    status_code=202,
    response_model=JobDocument,
    responses={200: RETRIED_BEFORE, 202: RETRIED, **problems(401, 403, 404, 409, 410, 429, 503)},
)
async def retry_job(
    job_id: str, caller: Submitter, control: JobControl, advice: Advice, prefix: Prefix
) -> Response:
    """Answers 202 with the new job that tries a failed one again; asking twice answers with the same new job."""
    made = await control.retry(caller.tenant, job_id)
    return ReplyResponse(accepted(show_to(caller.scopes, prefix, made), advice))


@router.delete(
    JOB,
    summary="Forget a finished job",
    status_code=204,
    response_model=None,
    response_description="Forgotten",
    responses=problems(401, 403, 404, 409, 410, 503),
)
async def delete_job(job_id: str, caller: Caller, control: JobControl, by: By) -> Response:
    """Answers 204 once a finished job, its result and its attempts are forgotten."""
    await control.delete(caller.tenant, job_id, by if "admin" in caller.scopes else OPERATOR)
    return ReplyResponse(no_content())


@router.get(
    f"{JOB}/attempts",
    summary="List the attempts that did not succeed",
    response_model=AttemptList,
    response_description="In order; tracebacks with the scope `admin`",
    responses=problems(401, 403, 404, 410, 503),
)
async def list_attempts(job_id: str, caller: Caller, control: JobControl) -> Response:
    """Lists the newest attempts that did not succeed, at most 200, with tracebacks for keys with the scope `admin`."""
    attempts = await control.list_attempts(caller.tenant, job_id)
    shown = [_show_attempt(each, "admin" in caller.scopes) for each in attempts]
    return ReplyResponse(json_reply(200, orjson.dumps({"attempts": shown}, option=orjson.OPT_UTC_Z)))


async def _submit(
    request: Request, tenant: str, read: Callable[[Raw], SubmitRequest], limit: int, watch: ServerTiming
) -> Response:
    parts = parts_of(request)
    with HeldBody(parts[HeldBytes], tenant) as held:
        prepared = await _prepare(request, tenant, read, limit, held)
        watch.lap("body")
        wait = read_wait(request, parts[Settings].wait_cap_s)
        submitted = await parts[Submission].take(prepared)
        del prepared  # or its input would be held until the wait is over
    watch.lap("submit")
    if wait.seconds:
        with watch.waiting():
            document = await parts[Waiting].until_finished(submitted.document, wait.seconds, request.receive)
        if submitted.coalesced:
            document = mark_coalesced(document)
        submitted = submitted._replace(document=document)
    reply = answer_submit(submitted, parts[RetryAfterAdvisor], prefix_of(request.scope))
    return ReplyResponse(reply, [*wait.headers, *watch.headers()])


async def _prepare(
    request: Request, tenant: str, read: Callable[[Raw], SubmitRequest], limit: int, held: HeldBody
) -> PreparedJob:
    parts = parts_of(request)

    def read_both(body: Raw) -> tuple[SubmitRequest, IdempotencyKey | None]:
        return read(body), read_idempotency_key(request, body)

    body = read_json_body(request, limit, parts[BodyLimits].timeout_s, held)
    trace = request.scope.get(TRACEPARENT)
    return await prepare_body(parts[Submission], tenant, await body, read_both, trace)


def _show_attempt(attempt: AttemptRecord, with_traceback: bool) -> dict[str, object]:
    shown = attempt._asdict() | {"error": orjson.Fragment(attempt.error) if attempt.error else None}
    if not with_traceback:
        del shown["traceback"]
    return shown
