"""Bulk acts: a filter, a dry run, a canary, the rest at a rate."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from api.bulk.bulk_acts import BulkActs
from api.bulk.schemas import read_new_act
from api.jobs.job_filter import JobFilter
from api.ui.view import Pages, View, listed
from sluice.core.bulk import ENDED, BulkAct
from sluice.core.errors import Flaw, Invalid
from sluice.core.job import JobState
from sluice.core.registry import Registry
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.settings import Settings

PAGES = Pages()
SIZE = 50
MOST = 2**53
"""Numbers of a form are smaller: not every reader of JSON takes larger ones."""
ACTS = ("retry", "cancel", "delete")
FILTER = ("state", "kind", "tag", "error", "created_after", "created_before")
SENTENCES = {
    "counting": "The jobs that fit are being counted.", "canary": "The first jobs are being changed.",
    "watching": "The first jobs run again; how they end decides whether it goes on.", "running": "The other jobs are being changed.",
    "finished": "No job that fits is left.", "aborted": "Somebody has aborted it; what it had changed stays changed.",
    "waiting": "It waits for your go.", "stopped": "It has stopped by itself.",
    "counted": "The jobs are counted; it waits for your go.", "canary-done": "The first jobs are changed; it waits for your go.",
    "canary-failed": "Too many of the first jobs failed again, so the others were left alone.",
    "tenant-backlog-full": "Too many jobs of this tenant wait. It goes on by itself once fewer do.",
    "backlog-full": "Too many jobs of all tenants wait. It goes on by itself once fewer do.",
    "tenant-storage-full": "This tenant keeps as much as it may. It goes on by itself once older jobs are deleted.",
}  # fmt: skip
"""What a page says of each state, and of each reason, which says more."""
ONE = "/bulk/{act_id}"
API = "/v1/bulk/{act_id}"


@PAGES.get("/bulk", ("GET", "/v1/bulk"))
async def list_acts(view: View) -> Response:
    """List the acts, newest first."""
    found, token = await view.parts[BulkActs].page(view.caller.tenant, SIZE, view.query("page"))
    following = token and view.url("/bulk", page=token)
    return view.show("bulk.html", page="bulk", acts=[_show_act(each) for each in found], next=following)


@PAGES.get("/bulk/new", ("POST", "/v1/bulk"))
async def ask(view: View) -> Response:
    """Ask what to do to which jobs."""
    given = {name: view.query(name) for name in ("act", *FILTER)} | {"canary": "10", "rate": "50"}
    return _show_form(view, given, [], 200)


@PAGES.act("/bulk/new", ("POST", "/v1/bulk"))
async def begin(view: View) -> Response:
    """Begin an act with its dry run."""
    settings = view.parts[Settings]
    try:
        body = _write_request(view.form)
        keep_s = max(settings.keep_s, settings.idempotency_keep_s)
        new = read_new_act(body, new_job_id(), view.caller.tenant, keep_s)
    except Invalid as error:
        given = {name: view.form.get(name, "") for name in ("act", "canary", "rate", *FILTER)}
        return _show_form(view, given, error.flaws, 422)
    act, _ = await view.parts[BulkActs].begin(new, None, view.by)
    return view.go(f"/bulk/{act.id}")


@PAGES.get(ONE, ("GET", API))
async def show(view: View) -> Response:
    """Show how an act stands."""
    act = await view.parts[BulkActs].find(view.caller.tenant, view.param("act_id"))
    return view.show("bulk_act.html", page="bulk", act=_show_act(act), rests=act.rests)


@PAGES.act(f"{ONE}/go", ("POST", f"{API}/go"))
async def go(view: View) -> Response:
    """Let it go on, as it was seen."""
    version = view.form.get("version", "")
    seen = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
    act = await view.parts[BulkActs].go(view.caller.tenant, view.param("act_id"), seen, view.by)
    return view.go(f"/bulk/{act.id}", done="gone")


@PAGES.act(f"{ONE}/abort", ("POST", f"{API}/abort"))
async def abort(view: View) -> Response:
    """End it."""
    act = await view.parts[BulkActs].abort(view.caller.tenant, view.param("act_id"), view.by)
    return view.go(f"/bulk/{act.id}", done="aborted")


def _write_request(form: dict[str, str]) -> bytes:
    """Write the body that POST /v1/bulk takes. Raises Invalid."""
    wanted = {name: form[name].strip() for name in FILTER if form.get(name, "").strip()}
    asked: dict[str, Any] = {"act": form.get("act", ""), "filter": wanted, "dry_run": True}
    for name, read in (("canary", int), ("rate", float)):
        try:
            asked[name] = read(form.get(name, "").strip() or "0")
            if not abs(asked[name]) < MOST:
                raise ValueError
        except ValueError:
            raise Invalid([Flaw(f"/{name}", "number", "This is to be a number.")]) from None
    return orjson.dumps(asked)


def _show_form(view: View, given: dict[str, str], flaws: list[Flaw], status: int) -> Response:
    return view.show(
        "bulk_new.html", status, page="bulk", given=given, flaws=flaws, acts=ACTS, states=list(JobState),
        kinds=list(view.parts[Registry]), labels={each: JobFilter.model_fields[each].description for each in FILTER},
    )  # fmt: skip


def _show_act(act: BulkAct) -> dict[str, Any]:
    wanted = act.wanted._asdict() | {"states": ", ".join(act.wanted.states)}
    says = SENTENCES.get(act.reason or "") or SENTENCES.get(act.state, "")
    return act._asdict() | {"filter": listed(wanted), "ended": act.state in ENDED, "says": says}
