"""Schedules: when each fires next, and running, pausing or deleting it."""

from __future__ import annotations

from starlette.responses import Response

from api.schedules.schedules import Scheduling, document
from api.ui.view import Pages, View

PAGES = Pages()
SIZE = 100
ONE = "/schedules/{name}"
API = "/v1/schedules/{name}"


@PAGES.get("/schedules", ("GET", "/v1/schedules"))
async def list_schedules(view: View) -> Response:
    """List schedules by name."""
    found, more = await view.parts[Scheduling].page(view.caller.tenant, SIZE, view.query("page"))
    following = view.url("/schedules", page=found[-1].name) if more else None
    return view.show(
        "schedules.html", page="schedules", schedules=[document(each) for each in found], next=following
    )


@PAGES.act(f"{ONE}/run", ("POST", f"{API}/run"))
async def run(view: View) -> Response:
    """Make a job of it now, and show the job."""
    job_id = await view.parts[Scheduling].run(view.caller.tenant, view.param("name"), by=view.by)
    return view.go(f"/jobs/{job_id}", done="run")


@PAGES.act(f"{ONE}/pause", ("POST", f"{API}/pause"))
async def pause(view: View) -> Response:
    """Fire no more of its ticks."""
    await view.parts[Scheduling].pause(view.caller.tenant, view.param("name"), view.by)
    return view.go("/schedules", done="paused")


@PAGES.act(f"{ONE}/resume", ("POST", f"{API}/resume"))
async def resume(view: View) -> Response:
    """Fire its ticks again."""
    await view.parts[Scheduling].resume(view.caller.tenant, view.param("name"), view.by)
    return view.go("/schedules", done="resumed")


@PAGES.act(f"{ONE}/delete", ("DELETE", API))
async def delete(view: View) -> Response:
    """Delete it; its jobs stay."""
    await view.parts[Scheduling].delete(view.caller.tenant, view.param("name"), view.by)
    return view.go("/schedules", done="schedule-deleted")
