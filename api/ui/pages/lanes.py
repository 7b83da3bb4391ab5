"""Lanes: what waits and runs in each, and pausing them with a reason."""

from __future__ import annotations

from starlette.responses import Response

from api.http.schemas import validate
from api.lanes.lane_control import LaneControl
from api.lanes.schemas import PauseRequest
from api.ui.pages.overview import show_lane
from api.ui.view import Pages, View

PAGES = Pages()
API = "/v1/lanes/{lane}"


@PAGES.get("/lanes", ("GET", "/v1/lanes"))
async def list_lanes(view: View) -> Response:
    """List the lanes."""
    lanes = [show_lane(each) for each in await view.parts[LaneControl].list()]
    return view.show("lanes.html", page="lanes", lanes=lanes)


@PAGES.act("/lanes/{lane}/pause", ("POST", f"{API}/pause"))
async def pause(view: View) -> Response:
    """Let no job of a lane begin."""
    reason = validate(PauseRequest, {"reason": view.form.get("reason", "")}).reason
    await view.parts[LaneControl].pause(view.param("lane"), reason, view.caller.tenant, view.by)
    return view.go("/lanes", done="paused")


@PAGES.act("/lanes/{lane}/resume", ("POST", f"{API}/resume"))
async def resume(view: View) -> Response:
    """Let its jobs begin again."""
    await view.parts[LaneControl].resume(view.param("lane"), view.caller.tenant, view.by)
    return view.go("/lanes", done="resumed")
