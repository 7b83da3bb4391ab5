"""Schedules: when each fires next, making and editing one, and running, pausing or deleting it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from api.schedules.schedules import Scheduling, document
from api.ui import schedule_form
from api.ui.view import Pages, View
from sluice.core.errors import Flaw, Invalid, KindUnknown, ScheduleExists
from sluice.core.registry import Registry
from sluice.core.schedule import CatchUp

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


@PAGES.get("/schedules/new", ("POST", "/v1/schedules"))
async def ask(view: View) -> Response:
    """Ask for a new schedule; the address may name its kind."""
    return _show_form(view, {**schedule_form.EMPTY, "kind": view.query("kind")}, None, [], 200)


@PAGES.act("/schedules/new", ("POST", "/v1/schedules"))
async def make(view: View) -> Response:
    """Make a schedule."""
    try:
        body = schedule_form.read(view.form)
        await view.parts[Scheduling].create(view.caller.tenant, body, view.by)
    except ScheduleExists:
        return _refuse(
            view, None, [Flaw("/name", "exists", "There is a schedule of this name already.")], 409
        )
    except KindUnknown as error:
        return _refuse(view, None, [Flaw("/kind", "kind-unknown", str(error))])
    except Invalid as error:
        return _refuse(view, None, error.flaws)
    return view.go("/schedules", done="schedule-kept")


@PAGES.get(f"{ONE}/edit", ("PUT", API))
async def ask_again(view: View) -> Response:
    """Show a schedule as it is, to be changed."""
    found = await view.parts[Scheduling].find(view.caller.tenant, view.param("name"))
    return _show_form(view, schedule_form.fill(found, view.sees_payloads), found.name, [], 200)


@PAGES.act(f"{ONE}/edit", ("PUT", API))
async def edit(view: View) -> Response:
    """Replace a schedule that is there."""
    name = (await view.parts[Scheduling].find(view.caller.tenant, view.param("name"))).name
    try:
        body = schedule_form.read(view.form, name)
        await view.parts[Scheduling].replace(view.caller.tenant, body, view.by)
    except KindUnknown as error:
        return _refuse(view, name, [Flaw("/kind", "kind-unknown", str(error))])
    except Invalid as error:
        return _refuse(view, name, error.flaws)
    return view.go("/schedules", done="schedule-kept")


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


def _refuse(view: View, name: str | None, flaws: list[Flaw], status: int = 422) -> Response:
    given = {each: view.form.get(each, "") for each in schedule_form.FIELDS}
    return _show_form(view, given, name, flaws, status)


def _show_form(
    view: View, given: Mapping[str, str], name: str | None, flaws: list[Flaw], status: int
) -> Response:
    return view.show(
        "schedule_form.html", status, page="schedules", given=given, name=name, flaws=flaws, kinds=list(view.parts[Registry]),
        choices=list(CatchUp), priorities=schedule_form.PRIORITIES,
    )  # fmt: skip
