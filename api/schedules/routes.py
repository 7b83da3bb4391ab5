"""Routes for schedules: list, create, show, replace, delete, pause, resume, run."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.http.asgi import Header
from api.http.dependencies import By, Caller, JsonBody, Prefix, Submitter, provided
from api.http.edge import TRACEPARENT
from api.http.openapi import LOCATION, RATE, name_of, problems, takes
from api.http.response import ReplyResponse, json_reply, no_content
from api.jobs.job_response import accepted, show_to
from api.jobs.lookup import Lookup
from api.jobs.schemas import JobDocument
from api.keys.keyring import Identity
from api.schedules.schedules import Scheduling, document
from api.schedules.schemas import (
    PageQuery,
    ScheduleBody,
    ScheduleDocument,
    ScheduleList,
    ScheduleReplacement,
    read_schedule,
)
from sluice.core.access import PAYLOADS
from sluice.core.schedule import Schedule

PATH = "/v1/schedules"
ONE = PATH + "/{name}"

router = APIRouter(tags=["schedules"], generate_unique_id_function=name_of)
Schedules = Annotated[Scheduling, provided(Scheduling)]


@router.get(
    PATH,
    summary="List the schedules",
    response_model=ScheduleList,
    response_description="By name, without inputs",
    responses=problems(401, 403, 422, 503),
)
async def list_schedules(
    query: Annotated[PageQuery, Query()], caller: Caller, schedules: Schedules, prefix: Prefix
) -> Response:
    """Lists the schedules of the tenant by name, page by page."""
    found, more = await schedules.page(caller.tenant, query.page_size, query.page_token)
    token = found[-1].name if more else None
    shown = [document(each, prefix) for each in found]
    return _reply(200, {"schedules": shown, "next_page_token": token})


@router.post(
    PATH,
    summary="Make a schedule",
    status_code=201,
    response_model=ScheduleDocument,
    response_description="Made",
    responses={201: {"headers": LOCATION}, **problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)},
    openapi_extra=takes(ScheduleBody),
)
async def create_schedule(
    body: JsonBody, caller: Caller, schedules: Schedules, prefix: Prefix, by: By
) -> Response:
    """Answers 201 with the schedule, or 409 if its name is taken."""
    return _show(await schedules.create(caller.tenant, read_schedule(body), by), prefix, 201)


@router.get(
    ONE,
    summary="Show a schedule",
    response_model=ScheduleDocument,
    response_description="The schedule",
    responses=problems(401, 403, 404, 503),
)
async def show_schedule(name: str, caller: Caller, schedules: Schedules, prefix: Prefix) -> Response:
    """Shows the schedule as it stands."""
    return _show(_hide_input(await schedules.find(caller.tenant, name), caller), prefix)


@router.put(
    ONE,
    summary="Make or replace a schedule",
    response_model=ScheduleDocument,
    response_description="Replaced",
    responses={
        201: {"model": ScheduleDocument, "description": "Made", "headers": LOCATION},
        **problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra=takes(ScheduleReplacement),
)
async def replace_schedule(
    name: str, body: JsonBody, caller: Caller, schedules: Schedules, prefix: Prefix, by: By
) -> Response:
    """Answers 201 if there was none of this name, else 200: then it stays paused if it was."""
    kept, new = await schedules.replace(caller.tenant, read_schedule(body, name), by)
    return _show(kept, prefix, 201 if new else 200)


@router.delete(
    ONE,
    summary="Delete a schedule",
    status_code=204,
    response_model=None,
    response_description="Deleted; its jobs stay",
    responses=problems(401, 403, 404, 503),
)
async def delete_schedule(name: str, caller: Caller, schedules: Schedules, by: By) -> Response:
    """Answers 204 once it makes no more jobs; those it made stay."""
    await schedules.delete(caller.tenant, name, by)
    return ReplyResponse(no_content())


@router.post(
    f"{ONE}/pause",
    summary="Pause a schedule",
    response_model=ScheduleDocument,
    response_description="Paused",
    responses=problems(401, 403, 404, 503),
)
async def pause_schedule(name: str, caller: Caller, schedules: Schedules, prefix: Prefix, by: By) -> Response:
    """Makes no more jobs until it is resumed. Asking again changes nothing."""
    return _show(_hide_input(await schedules.pause(caller.tenant, name, by), caller), prefix)


@router.post(
    f"{ONE}/resume",
    summary="Resume a schedule",
    response_model=ScheduleDocument,
    response_description="It fires again",
    responses=problems(401, 403, 404, 422, 503),
)
async def resume_schedule(
    name: str, caller: Caller, schedules: Schedules, prefix: Prefix, by: By
) -> Response:
    """Goes on with the next tick to come. Asking again changes nothing."""
    return _show(_hide_input(await schedules.resume(caller.tenant, name, by), caller), prefix)


@router.post(
    f"{ONE}/run",
    summary="Run a schedule now",
    status_code=202,
    response_model=JobDocument,
    response_description="Its job",
    responses={
        200: {"model": JobDocument, "description": "Finished already", "headers": RATE},
        202: {"headers": RATE},
        **problems(401, 403, 404, 429, 503),
    },
)
async def run_schedule(  # noqa: PLR0913  what it depends on, each by its name
    request: Request,
    name: str,
    caller: Submitter,
    schedules: Schedules,
    lookup: Annotated[Lookup, provided(Lookup)],
    prefix: Prefix,
    by: By,
) -> Response:
    """Answers 202 with a job made now, whether the schedule is paused or not; its ticks stay as they are."""
    job_id = await schedules.run(caller.tenant, name, request.scope.get(TRACEPARENT), by)
    made = await lookup.find(caller.tenant, job_id)
    return ReplyResponse(accepted(show_to(caller.scopes, prefix, made)))


def _hide_input(schedule: Schedule, caller: Identity) -> Schedule:
    """Leave the input out, as lists do, for a key that may not see it."""
    return schedule if PAYLOADS in caller.scopes else schedule._replace(input=None)


def _show(schedule: Schedule, prefix: str, status: int = 200) -> Response:
    location: list[Header] = [(b"location", f"{PATH}/{schedule.name}".encode())] if status == 201 else []
    return _reply(status, document(schedule, prefix), location)


def _reply(status: int, value: Any, headers: list[Header] | None = None) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    return ReplyResponse(json_reply(status, body), headers or [])
