"""Submit a job, look it up, take its result."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.http import response as answers
from api.http.auth import (
    ServerTiming,
    WaitRequest,
    authenticate,
    read_idempotency_key,
    read_validators,
    read_wait,
)
from api.http.body import check_headers, read_body
from api.http.edge import TRACEPARENT
from api.http.errors import KindMissing
from api.http.openapi import LOOK_UP, RESULT, SUBMIT
from api.http.reply_response import ReplyResponse, state_of
from api.http.response import Header, Reply
from api.jobs.submit import IdempotencyKey, Submit, read_bare, read_submit
from api.state import ApiState
from sluice.core.document import Document


def add_routes(app: FastAPI) -> None:
    """Everything under /v1/jobs, and submitting to a kind by its path."""
    app.add_api_route("/v1/jobs", submit_job, methods=["POST"], **SUBMIT)
    app.add_api_route("/v1/kinds/{kind}/jobs", submit_to_kind, methods=["POST"], include_in_schema=False)
    app.add_api_route("/v1/jobs/{job_id}", look_up_job, methods=["GET"], **LOOK_UP)
    app.add_api_route("/v1/jobs/{job_id}/result", take_result, methods=["GET"], **RESULT)


async def submit_job(request: Request) -> Response:
    """202 with the job as it stands; 200 where its result is known already or arrives while the request waits."""
    state, watch = state_of(request), ServerTiming(request)
    caller = await authenticate(request, state.keyring)
    watch.lap("key")
    raw = await _body(request, state, state.body_limit)
    watch.lap("body")
    return await _submitted(
        request, caller.tenant, read_submit(raw), read_idempotency_key(request, raw), watch
    )


async def submit_to_kind(request: Request, kind: str) -> Response:
    """The same with the bare input as the body."""
    state, watch = state_of(request), ServerTiming(request)
    caller = await authenticate(request, state.keyring)
    watch.lap("key")
    if kind not in state.registry:
        raise KindMissing(kind)
    raw = await _body(request, state, state.registry[kind].max_input)
    watch.lap("body")
    return await _submitted(
        request, caller.tenant, read_bare(kind, raw), read_idempotency_key(request, raw), watch
    )


async def look_up_job(request: Request, job_id: str) -> Response:
    """With `wait` the answer comes on the first change, or with what is known when the time is up."""
    state, watch = state_of(request), ServerTiming(request)
    caller = await authenticate(request, state.keyring)
    watch.lap("key")
    wait, validators = read_wait(request, state.settings.wait_cap_s), read_validators(request)
    document = await state.lookup.find(caller.tenant, job_id)
    watch.lap("look-up")
    known = answers.matches(validators, document) if validators else True
    if wait.seconds and known:
        document = await state.waiting.wait(caller.tenant, document, wait.seconds, request.receive)
        watch.lap("wait")
    unchanged = bool(validators) and answers.matches(validators, document)
    reply = _shown(state, document, unchanged)
    return ReplyResponse(reply, _more(wait, watch))


async def take_result(request: Request, job_id: str) -> Response:
    """202 while there is none yet; 409 where there never will be one."""
    state, watch = state_of(request), ServerTiming(request)
    caller = await authenticate(request, state.keyring)
    wait, validators = read_wait(request, state.settings.wait_cap_s), read_validators(request)
    document = await state.lookup.find(caller.tenant, job_id)
    document = await _until_finished(state, request, document, wait.seconds)
    watch.lap("look-up")
    reply = answers.result(document, state.advisor)
    if reply.status == 200 and validators and answers.matches(validators, document):
        reply = answers.not_modified(document)
    return ReplyResponse(reply, _more(wait, watch))


def _shown(state: ApiState, document: Document, unchanged: bool) -> Reply:
    return (answers.not_modified if unchanged else answers.found)(document, state.advisor)


async def _body(request: Request, state: ApiState, limit: int) -> bytes:
    check_headers(request.scope["headers"], limit)
    return await read_body(request.receive, limit, state.settings.body_timeout_s)


async def _submitted(
    request: Request, tenant: str, work: Submit, key: IdempotencyKey | None, watch: ServerTiming
) -> Response:
    state = state_of(request)
    wait = read_wait(request, state.settings.wait_cap_s)
    answer = await state.submission.submit(tenant, work, request.scope.get(TRACEPARENT), key)
    watch.lap("submit")
    document = await _until_finished(state, request, answer.document, wait.seconds)
    if wait.seconds:
        watch.lap("wait")
    reply = answers.accepted(answer._replace(document=document), state.advisor)
    return ReplyResponse(reply, _more(wait, watch))


async def _until_finished(state: ApiState, request: Request, document: Document, seconds: float) -> Document:
    """The document once finished, or as it stands when the time is up or the client leaves."""
    if not seconds:
        return document
    return await state.waiting.wait(document.tenant, document, seconds, request.receive, to_the_end=True)


def _more(wait: WaitRequest, watch: ServerTiming) -> list[Header]:
    return [*wait.applied, *watch.headers()]
