"""The first page: is all well, and where to look if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from api.error_groups.error_groups import ErrorGroups
from api.installation.server_watch import ServerWatch
from api.lanes.lane_control import LaneControl, LaneState
from api.ui.error_rows import show_group
from api.ui.verdict import judge
from api.ui.view import Pages, View
from sluice.core.slo import Slo

PAGES = Pages()
TOP = 5


@PAGES.get("", ("GET", "/v1/slo"))
async def show(view: View) -> Response:
    """Show the verdict, figures, lanes, servers and the errors with the most failures."""
    operates, reads = view.may("GET", "/v1/lanes"), view.may("GET", "/v1/errors")
    lanes = await view.parts[LaneControl].list() if operates else []
    servers = await view.parts[ServerWatch].look() if operates else []
    slo = view.parts[Slo].measured()
    found = await view.shared.errors(view.parts[ErrorGroups], view.caller.tenant) if reads else None
    still_open = [each for each in found.groups if each.state == "open"] if found else []
    return view.show(
        "overview.html", page="overview",
        verdict=judge(servers, lanes, slo), lanes=[show_lane(each) for each in lanes], servers=servers, slo=slo,
        figures=_figures(lanes), errors=[show_group(each) for each in still_open[:TOP]],
    )  # fmt: skip


def show_lane(lane: LaneState) -> dict[str, Any]:
    """Show a lane as a row of a table."""
    found = lane.statistics
    flows = found and found.slots and found.times and not lane.paused
    return {
        "name": lane.name, "found": found, "paused": lane.paused,
        "drain_s": found.wait_s if found and flows else None,
        "tenants": sorted(found.tenants.items(), key=lambda each: -each[1]) if found else [],
    }  # fmt: skip


def _figures(lanes: Sequence[LaneState]) -> dict[str, float | None]:
    known = [lane.statistics for lane in lanes if lane.statistics]
    if not known:
        return {}
    return {
        "Queued": sum(each.queued for each in known),
        "Running": sum(each.running for each in known),
        "Finished a second": sum(each.per_second for each in known),
        "Slots": sum(each.slots for each in known),
    }
