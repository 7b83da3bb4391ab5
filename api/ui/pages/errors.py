"""Failures grouped by their cause, and what was said of each group."""

from __future__ import annotations

from starlette.responses import Response

from api.error_groups.error_groups import MOST_FAILURES, ErrorGroups
from api.ui.error_rows import show_group
from api.ui.view import Pages, View
from sluice.core.listing import ErrorMark

PAGES = Pages()
STATES = ("open", "resolved", "ignored")
SHOWN = 30
"""Groups of a page, the most frequent: each failure may be one of its own."""
ONE = "/errors/{fingerprint}"
API = "/v1/errors/{fingerprint}"


@PAGES.get("/errors", ("GET", "/v1/errors"))
async def list_errors(view: View) -> Response:
    """List the groups in one state."""
    state = view.query("state") if view.query("state") in STATES else "open"
    found = await view.parts[ErrorGroups].find(view.caller.tenant)
    fitting = [each for each in found.groups if each.state == state]
    counts = {each: sum(group.state == each for group in found.groups) for each in STATES}
    return view.show(
        "errors.html", page="errors", groups=[show_group(each) for each in fitting[:SHOWN]], rest=max(0, len(fitting) - SHOWN), state=state, counts=counts,
        failures=found.failures, more=found.more, most=MOST_FAILURES,
    )  # fmt: skip


@PAGES.act(f"{ONE}/resolve", ("POST", f"{API}/resolve"))
async def resolve(view: View) -> Response:
    """Take the cause for mended."""
    return await _mark(view, ErrorMark.RESOLVED)


@PAGES.act(f"{ONE}/ignore", ("POST", f"{API}/ignore"))
async def ignore(view: View) -> Response:
    """Keep it out of the way."""
    return await _mark(view, ErrorMark.IGNORED)


@PAGES.act(f"{ONE}/reopen", ("POST", f"{API}/reopen"))
async def reopen(view: View) -> Response:
    """Open it again."""
    return await _mark(view, None)


async def _mark(view: View, mark: ErrorMark | None) -> Response:
    await view.parts[ErrorGroups].mark(view.caller.tenant, view.param("fingerprint"), mark, view.by)
    return view.go("/errors", state=view.form.get("state", "open"), done=mark or "reopened")
