"""One job: why it is not done, what has happened, what went in and came out, what it logged, and what can be done about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response

from api.events.job_logs import BEFORE_ALL, JobLogs, lines_behind
from api.explanation.explaining import Explaining
from api.http.rate_limits import RateLimits, charge
from api.jobs.control import Control
from api.jobs.lookup import Lookup
from api.ui.exact_json import indent_json
from api.ui.shown_input import read_shown_input
from api.ui.view import Pages, View
from sluice.core.access import OPERATOR
from sluice.core.document import Document
from sluice.core.explanation import Moment
from sluice.core.ports import AttemptRecord
from sluice.core.registry import Registry

PAGES = Pages()
LINES = 200
"""Newest lines of the log that are shown."""
ONE = "/jobs/{job_id}"
API = "/v1/jobs/{job_id}"


@PAGES.get(ONE, ("GET", API))
async def show(view: View) -> Response:
    """Show a job."""
    tenant, job_id = view.caller.tenant, view.param("job_id")
    document = await view.parts[Lookup].find(tenant, job_id)
    _, told = await view.parts[Explaining].explain(tenant, job_id)
    attempts = await view.parts[Control].list_attempts(tenant, job_id)
    job = _fields(document)
    return view.show(
        "job.html", page="jobs", job=job, finished=document.finished, told=told,
        moments=_moments(told.timeline), attempts=[_show_attempt(each) for each in attempts],
        shows_tracebacks="admin" in view.caller.scopes, is_known=job["kind"] in view.parts[Registry],
        **await _payloads(view, document, job["kind"]), **await _log(view, document),
    )  # fmt: skip


@PAGES.act(f"{ONE}/cancel", ("POST", f"{API}/cancel"))
async def cancel(view: View) -> Response:
    """Cancel it."""
    job_id = view.param("job_id")
    document = await view.parts[Control].cancel(view.caller.tenant, job_id)
    return view.go(f"/jobs/{job_id}", done="cancelled" if document.finished else "asked-to-stop")


@PAGES.act(f"{ONE}/retry", ("POST", f"{API}/retry"))
async def retry(view: View) -> Response:
    """Try it again, and show the new job."""
    await charge(view.request.scope, view.parts[RateLimits].submits, view.caller.key_id)
    made = await view.parts[Control].retry(view.caller.tenant, view.param("job_id"))
    return view.go(f"/jobs/{made.id}", done="retried")


@PAGES.act(f"{ONE}/delete", ("DELETE", API))
async def delete(view: View) -> Response:
    """Forget it."""
    by = view.by if "admin" in view.caller.scopes else OPERATOR
    await view.parts[Control].delete(view.caller.tenant, view.param("job_id"), by)
    return view.go("/jobs", done="deleted")


def _fields(document: Document) -> dict[str, Any]:
    """Read what the document says, but for its result, which is shown as it is."""
    head = document.body[: document.result_start] + b"null" + document.body[document.result_end :]
    job: dict[str, Any] = orjson.loads(head if document.result else document.body)
    ended = _read(job["finished_at"]) or datetime.now(UTC)
    began = _read(job["started_at"])
    return job | {"ran_s": (ended - began).total_seconds() if began else None}


async def _payloads(view: View, document: Document, kind: str) -> dict[str, Any]:
    """Show input and result to those who may see them."""
    if not view.sees_payloads:
        return {"input": None, "result": None}
    raw = await read_shown_input(view, document.id, kind)
    return {"input": _show_json(raw), "result": _show_json(document.result) if document.result else None}


async def _log(view: View, document: Document) -> dict[str, Any]:
    blocks = (await view.parts[JobLogs].read(document.id, BEFORE_ALL, document.finished)).blocks
    lines = [line.text for line in lines_behind(BEFORE_ALL, blocks)]
    return {
        "lines": [orjson.loads(each) for each in lines[-LINES:]],
        "lines_before": max(0, len(lines) - LINES),
    }


def _show_json(raw: bytes) -> dict[str, Any]:
    text, cut = indent_json(raw)
    return {"text": text, "size": len(raw), "cut": cut}


def _show_attempt(attempt: AttemptRecord) -> dict[str, Any]:
    ran_s = (attempt.finished_at - attempt.started_at).total_seconds() if attempt.started_at else None
    error = orjson.loads(attempt.error) if attempt.error else {}
    return attempt._asdict() | {"ran_s": ran_s, "error": error}


def _moments(timeline: list[Moment]) -> list[dict[str, Any]]:
    """Show what happened, each with the time since what was before it."""
    earlier = [None, *(moment.at for moment in timeline)]
    return [
        moment._asdict() | {"after_s": (moment.at - before).total_seconds() if before else None}
        for moment, before in zip(timeline, earlier, strict=False)
    ]


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
