"""Routes for lanes: list, pause, resume."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from api.http.dependencies import By, Caller, SmallJsonBody, provided
from api.http.openapi import name_of, problems, takes
from api.http.response import ReplyResponse, json_reply
from api.lanes.lane_control import LaneControl, LaneState
from api.lanes.schemas import LaneDocument, LaneList, PauseRequest, read_pause

PATH = "/v1/lanes"

router = APIRouter(tags=["lanes"], generate_unique_id_function=name_of)
Control = Annotated[LaneControl, provided(LaneControl)]


@router.get(
    PATH,
    summary="List the lanes",
    response_model=LaneList,
    response_description="In the order in which they are configured",
    responses=problems(401, 403, 503),
)
async def list_lanes(caller: Caller, control: Control) -> Response:
    """Lists what waits and runs in each lane, of all tenants together, and which are paused."""
    return _reply({"lanes": [_show(each) for each in await control.list()]})


@router.post(
    f"{PATH}/{{lane}}/pause",
    summary="Pause a lane",
    response_model=LaneDocument,
    response_description="Paused",
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=takes(PauseRequest),
)
async def pause_lane(lane: str, body: SmallJsonBody, caller: Caller, control: Control, by: By) -> Response:
    """Lets no job of the lane begin, whoever's it is, until it is resumed; those that run go on. Asking again replaces the reason."""
    return _reply(_show(await control.pause(lane, read_pause(body).reason, caller.tenant, by)))


@router.post(
    f"{PATH}/{{lane}}/resume",
    summary="Resume a lane",
    response_model=LaneDocument,
    response_description="Its jobs begin again",
    responses=problems(401, 403, 404, 503),
)
async def resume_lane(lane: str, caller: Caller, control: Control, by: By) -> Response:
    """Lets its jobs begin again. Asking again changes nothing."""
    return _reply(_show(await control.resume(lane, caller.tenant, by)))


def _show(lane: LaneState) -> dict[str, Any]:
    found = lane.statistics
    flows = found and found.slots and found.times and not lane.paused
    return {
        "name": lane.name,
        "queued": found and found.queued,
        "running": found and found.running,
        "slots": found and found.slots,
        "oldest_s": found and round(found.oldest_queued_s, 3),
        "per_second": found and round(found.per_second, 3),
        "drain_s": round(found.wait_s, 3) if found and flows else None,
        "consumers": found and found.consumers,
        "paused": lane.paused and lane.paused.model_dump(),
    }


def _reply(value: Any) -> Response:
    return ReplyResponse(json_reply(200, orjson.dumps(value, option=orjson.OPT_UTC_Z)))
