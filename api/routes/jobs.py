"""Submit a job, look it up, take its result."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.answers import Header, Reply
from api.asked import Stopwatch, Wish, admit, key_of, validators_of, wait_of
from api.body import check_headers, read_body
from api.desk import Desk
from api.openapi import LOOK_UP, RESULT, SUBMIT
from api.outer import TRACEPARENT
from api.refusals import KindMissing
from api.routes.replies import ReplyResponse, desk_of
from api.submission import RequestKey, Submit, read_bare, read_submit
from core.document import Document


def add_routes(app: FastAPI) -> None:
    """Everything under /v1/jobs, and submitting to a kind by its path."""
    app.add_api_route("/v1/jobs", submit_job, methods=["POST"], **SUBMIT)
    app.add_api_route("/v1/kinds/{kind}/jobs", submit_to_kind, methods=["POST"], include_in_schema=False)
    app.add_api_route("/v1/jobs/{job_id}", look_up_job, methods=["GET"], **LOOK_UP)
    app.add_api_route("/v1/jobs/{job_id}/result", take_result, methods=["GET"], **RESULT)


async def submit_job(request: Request) -> Response:
    """202 with the job as it stands; 200 where its result is known already or arrives while the request waits."""
    desk, watch = desk_of(request), Stopwatch(request)
    asker = await admit(request, desk.keyring)
    watch.lap("key")
    raw = await _body(request, desk, desk.body_limit)
    watch.lap("body")
    return await _submitted(request, asker.tenant, read_submit(raw), key_of(request, raw), watch)


async def submit_to_kind(request: Request, kind: str) -> Response:
    """The same with the bare input as the body."""
    desk, watch = desk_of(request), Stopwatch(request)
    asker = await admit(request, desk.keyring)
    watch.lap("key")
    if kind not in desk.registry:
        raise KindMissing(kind)
    raw = await _body(request, desk, desk.registry[kind].max_input)
    watch.lap("body")
    return await _submitted(request, asker.tenant, read_bare(kind, raw), key_of(request, raw), watch)


async def look_up_job(request: Request, job_id: str) -> Response:
    """With `wait` the answer comes on the first change, or with what is known when the time is up."""
    desk, watch = desk_of(request), Stopwatch(request)
    asker = await admit(request, desk.keyring)
    watch.lap("key")
    wish, validators = wait_of(request, desk.settings.wait_cap_s), validators_of(request)
    document = await desk.lookup.find(asker.tenant, job_id)
    watch.lap("look-up")
    known = answers.matches(validators, document) if validators else True
    if wish.seconds and known:
        document = await desk.waiting.wait(asker.tenant, document, wish.seconds, request.receive)
        watch.lap("wait")
    unchanged = bool(validators) and answers.matches(validators, document)
    reply = _shown(desk, document, unchanged)
    return ReplyResponse(reply, _more(wish, watch))


async def take_result(request: Request, job_id: str) -> Response:
    """202 while there is none yet; 409 where there never will be one."""
    desk, watch = desk_of(request), Stopwatch(request)
    asker = await admit(request, desk.keyring)
    wish, validators = wait_of(request, desk.settings.wait_cap_s), validators_of(request)
    document = await desk.lookup.find(asker.tenant, job_id)
    document = await _until_finished(desk, request, document, wish.seconds)
    watch.lap("look-up")
    reply = answers.result(document, desk.pace)
    if reply.status == 200 and validators and answers.matches(validators, document):
        reply = answers.not_modified(document)
    return ReplyResponse(reply, _more(wish, watch))


def _shown(desk: Desk, document: Document, unchanged: bool) -> Reply:
    return (answers.not_modified if unchanged else answers.found)(document, desk.pace)


async def _body(request: Request, desk: Desk, limit: int) -> bytes:
    check_headers(request.scope["headers"], limit)
    return await read_body(request.receive, limit, desk.settings.body_timeout_s)


async def _submitted(
    request: Request, tenant: str, work: Submit, key: RequestKey | None, watch: Stopwatch
) -> Response:
    desk = desk_of(request)
    wish = wait_of(request, desk.settings.wait_cap_s)
    answer = await desk.submission.submit(tenant, work, request.scope.get(TRACEPARENT), key)
    watch.lap("submit")
    document = await _until_finished(desk, request, answer.document, wish.seconds)
    if wish.seconds:
        watch.lap("wait")
    reply = answers.accepted(answer._replace(document=document), desk.pace)
    return ReplyResponse(reply, _more(wish, watch))


async def _until_finished(desk: Desk, request: Request, document: Document, seconds: float) -> Document:
    """The document once finished, or as it stands when the time is up or the client leaves."""
    if not seconds:
        return document
    return await desk.waiting.wait(document.tenant, document, seconds, request.receive, to_the_end=True)


def _more(wish: Wish, watch: Stopwatch) -> list[Header]:
    return [*wish.applied, *watch.headers()]
