"""Schedules: list, make, show, replace, delete, pause, resume, run."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.http import response as answers
from api.http.auth import authenticate
from api.http.body import check_headers, read_body
from api.http.reply_response import ReplyResponse, state_of
from api.http.response import JSON, NO_STORE, VARY, Header, Reply, SubmitResult
from api.keys.keyring import Identity
from api.schedules.openapi import CREATE, DELETE, LIST, PAUSE, REPLACE, RESUME, RUN, SHOW
from api.schedules.schedules import document, read_schedule
from sluice.core.errors import Flaw, Invalid
from sluice.core.schedule import Schedule

PATH = "/v1/schedules"
PAGE, LARGEST_PAGE = 100, 1_000


def add_routes(app: FastAPI) -> None:
    """Everything under /v1/schedules."""
    one = PATH + "/{name}"
    app.add_api_route(PATH, list_schedules, methods=["GET"], **LIST)
    app.add_api_route(PATH, create_schedule, methods=["POST"], **CREATE)
    app.add_api_route(one, show_schedule, methods=["GET"], **SHOW)
    app.add_api_route(one, replace_schedule, methods=["PUT"], **REPLACE)
    app.add_api_route(one, delete_schedule, methods=["DELETE"], **DELETE)
    app.add_api_route(f"{one}/pause", pause_schedule, methods=["POST"], **PAUSE)
    app.add_api_route(f"{one}/resume", resume_schedule, methods=["POST"], **RESUME)
    app.add_api_route(f"{one}/run", run_schedule, methods=["POST"], **RUN)


async def list_schedules(request: Request) -> Response:
    """The schedules of the tenant by name, page by page."""
    caller = await _caller(request)
    behind = request.query_params.get("page_token", "")
    found, more = await state_of(request).scheduling.page(caller.tenant, _page_size(request), behind)
    token = found[-1].name if more else None
    return _json(200, {"schedules": [document(each) for each in found], "next_page_token": token})


async def create_schedule(request: Request) -> Response:
    """201 with the schedule; 409 where its name is taken."""
    caller = await _caller(request)
    body = read_schedule(await _body(request))
    return _shown(await state_of(request).scheduling.create(caller.tenant, body), 201)


async def show_schedule(request: Request, name: str) -> Response:
    """The schedule as it stands."""
    caller = await _caller(request)
    return _shown(await state_of(request).scheduling.find(caller.tenant, name))


async def replace_schedule(request: Request, name: str) -> Response:
    """201 where there was none of this name, else 200: then it stays paused if it was."""
    caller = await _caller(request)
    body = read_schedule(await _body(request), name)
    kept, new = await state_of(request).scheduling.replace(caller.tenant, body)
    return _shown(kept, 201 if new else 200)


async def delete_schedule(request: Request, name: str) -> Response:
    """204 once it makes no more jobs; those it made stay."""
    caller = await _caller(request)
    await state_of(request).scheduling.delete(caller.tenant, name)
    return ReplyResponse(Reply(204, [NO_STORE], b""))


async def pause_schedule(request: Request, name: str) -> Response:
    """Make no more jobs until it is resumed. Asking again changes nothing."""
    caller = await _caller(request)
    return _shown(await state_of(request).scheduling.pause(caller.tenant, name))


async def resume_schedule(request: Request, name: str) -> Response:
    """Go on with the next tick to come. Asking again changes nothing."""
    caller = await _caller(request)
    return _shown(await state_of(request).scheduling.resume(caller.tenant, name))


async def run_schedule(request: Request, name: str) -> Response:
    """202 with a job made now, whether the schedule is paused or not; its ticks stay as they are."""
    caller = await _caller(request)
    state = state_of(request)
    job_id = await state.scheduling.run(caller.tenant, name)
    return ReplyResponse(answers.accepted(SubmitResult(await state.lookup.find(caller.tenant, job_id))))


async def _caller(request: Request) -> Identity:
    return await authenticate(request, state_of(request).keyring)


async def _body(request: Request) -> bytes:
    state = state_of(request)
    check_headers(request.scope["headers"], state.body_limit)
    return await read_body(request.receive, state.body_limit, state.settings.body_timeout_s)


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= LARGEST_PAGE):
        raise Invalid([Flaw("?page_size", "out-of-bounds", f"page_size is from 1 to {LARGEST_PAGE}.")])
    return int(text)


def _shown(schedule: Schedule, status: int = 200) -> Response:
    more = [(b"location", f"{PATH}/{schedule.name}".encode())] if status == 201 else []
    return _json(status, document(schedule), *more)


def _json(status: int, value: Any, *more: Header) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    length = (b"content-length", b"%d" % len(body))
    return ReplyResponse(Reply(status, [JSON, length, NO_STORE, VARY, *more], body))
