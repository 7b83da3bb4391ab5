"""Cancel a job, try it again, forget it, see its attempts."""

from __future__ import annotations

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.http import response as answers
from api.http.auth import authenticate
from api.http.openapi import ATTEMPTS, CANCEL, DELETE, RETRY
from api.http.reply_response import ReplyResponse, state_of
from api.http.response import JSON, NO_STORE, VARY, Reply, SubmitResult
from sluice.core.ports import AttemptRecord

PATH = "/v1/jobs/{job_id}"


def add_routes(app: FastAPI) -> None:
    """Everything that changes a job after its submit."""
    app.add_api_route(f"{PATH}/cancel", cancel_job, methods=["POST"], **CANCEL)
    app.add_api_route(f"{PATH}/retry", retry_job, methods=["POST"], **RETRY)
    app.add_api_route(PATH, delete_job, methods=["DELETE"], **DELETE)
    app.add_api_route(f"{PATH}/attempts", list_attempts, methods=["GET"], **ATTEMPTS)


async def cancel_job(request: Request, job_id: str) -> Response:
    """200 with the cancelled job, or with one that had ended before; 202 where it runs and was asked to stop."""
    state = state_of(request)
    caller = await authenticate(request, state.keyring)
    document = await state.control.cancel(caller.tenant, job_id)
    reply = answers.found(document, state.advisor)
    return ReplyResponse(reply if document.finished else reply._replace(status=202))


async def retry_job(request: Request, job_id: str) -> Response:
    """202 with the new job that tries a failed one again; asking twice answers with the same new job."""
    state = state_of(request)
    caller = await authenticate(request, state.keyring)
    again = await state.control.retry(caller.tenant, job_id)
    return ReplyResponse(answers.accepted(SubmitResult(again), state.advisor))


async def delete_job(request: Request, job_id: str) -> Response:
    """204 once a finished job, its result and its attempts are forgotten."""
    state = state_of(request)
    caller = await authenticate(request, state.keyring)
    await state.control.delete(caller.tenant, job_id)
    return ReplyResponse(Reply(204, [NO_STORE], b""))


async def list_attempts(request: Request, job_id: str) -> Response:
    """Every attempt that did not succeed; with tracebacks for keys with the scope `admin`."""
    state = state_of(request)
    caller = await authenticate(request, state.keyring)
    found = await state.control.attempts(caller.tenant, job_id)
    body = orjson.dumps(
        {"attempts": [_shown(each, "admin" in caller.scopes) for each in found]}, option=orjson.OPT_UTC_Z
    )
    return ReplyResponse(Reply(200, [JSON, (b"content-length", b"%d" % len(body)), NO_STORE, VARY], body))


def _shown(attempt: AttemptRecord, with_traceback: bool) -> dict[str, object]:
    shown = attempt._asdict() | {"error": orjson.Fragment(attempt.error) if attempt.error else None}
    if not with_traceback:
        del shown["traceback"]
    return shown
