"""The list of jobs: filters in the address, pages by tokens, and an id that is pasted leads to its job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from api.http.prefix import prefix_of
from api.http.schemas import validate
from api.jobs.job_filter import JobFilter
from api.jobs.lookup import JOB_ID
from api.listing.listing import JobQuery, Listing
from api.ui.error_rows import first_line
from api.ui.export import FORMATS, MOST_JOBS, JobExport
from api.ui.run_time import run_time_s
from api.ui.view import Pages, View
from sluice.core.errors import Flaw, Invalid
from sluice.core.job import TAG_SEPARATOR, Job, JobState
from sluice.core.registry import Registry

PAGES = Pages()
SIZE = 50
SINCE = {"15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800}
"""Choices of how long ago a job was made at most, in seconds."""
FIELDS = ("state", "kind", "tag", "error", "since", "after")
"""What the address holds of a filter."""


@PAGES.get("/jobs", ("GET", "/v1/jobs"))
async def list_jobs(view: View) -> Response:
    """List the newest jobs that fit."""
    if JOB_ID.fullmatch(wanted := view.query("q").lower()):
        return view.go(f"/jobs/{wanted}")
    given = _given(view)
    found: list[dict[str, Any]] = []
    token, wrong = None, ""
    try:
        page = await view.parts[Listing].page(
            JobQuery(view.caller.tenant, "list", read_filter(given).wanted), SIZE, view.query("page") or None
        )
        found, token = [show_row(job) for job in page.jobs], page.next_token
    except Invalid as error:
        wrong = " ".join(f"{flaw.pointer[1:]}: {flaw.detail}" for flaw in error.flaws)
    return view.show(
        "jobs.html", 422 if wrong else 200, page="jobs", jobs=found, given=given, wrong=wrong, states=list(JobState),
        since=list(SINCE), kinds=list(view.parts[Registry]), paged=bool(view.query("page")),
        next=token and view.url("/jobs", **given, page=token), is_filtered=any(given.values()),
        formats=list(FORMATS), most=MOST_JOBS,
    )  # fmt: skip


@PAGES.get("/jobs/export", ("GET", "/v1/jobs"))
async def export(view: View) -> Response:
    """Send the newest jobs that fit as a file."""
    wanted = read_filter(_given(view)).wanted
    chosen = view.query("format")
    if chosen not in FORMATS:
        raise Invalid([Flaw("?format", "unknown", f"format is one of {', '.join(FORMATS)}.")])
    query = JobQuery(view.caller.tenant, "list", wanted)
    lines = FORMATS[chosen](prefix_of(view.request.scope))
    return await JobExport(view.parts[Listing], query, lines, view.shared.exports).answer(view.request)


def _given(view: View) -> dict[str, str]:
    """Return the filter of the address, with the time since when instead of how long ago."""
    given = {name: view.query(name) for name in FIELDS}
    if view.query("q") and not given["tag"]:
        given["tag"] = view.query("q")
    if not given["after"] and (seconds := SINCE.get(given["since"])):
        given["after"] = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")
    return given


def read_filter(given: dict[str, str]) -> JobFilter:
    """Read the filter that an address holds. Raises Invalid."""
    values: dict[str, Any] = {name: given[name] for name in ("kind", "tag", "error") if given.get(name)}
    if given.get("state"):
        values["state"] = [given["state"]]
    if given.get("after"):  # not counted from now, or each page would have another filter than its token
        values["created_after"] = given["after"]
    return validate(JobFilter, values)


def show_row(job: Job) -> dict[str, Any]:
    """Show a job as a row."""
    return {
        "id": job.id, "kind": job.kind, "state": job.state, "lane": job.lane, "created": job.created_at,
        "attempt": job.attempt, "max_attempts": job.max_attempts, "priority": job.priority,
        "tags": job.tags.split(TAG_SEPARATOR) if job.tags else [],
        "ran_s": run_time_s(job.state == JobState.RUNNING, job.started_at, job.finished_at),
        "error": first_line(job.error) if job.state == JobState.FAILED else "",
    }  # fmt: skip
