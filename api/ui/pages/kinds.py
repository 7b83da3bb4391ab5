"""Kinds: what there is to run, and a form to run it."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from api.http.edge import TRACEPARENT
from api.http.errors import KindMissing
from api.http.rate_limits import RateLimits, charge
from api.http.schemas import validate
from api.jobs.lookup import Lookup
from api.jobs.make_job import SubmitRequest
from api.jobs.schemas import SubmitOptions
from api.jobs.submit import Submission
from api.kinds.routes import describe
from api.listing.listing import JobQuery, Listing
from api.ui.exact_json import MOST, indent_json
from api.ui.pages.jobs import show_row
from api.ui.run_form import WHOLE, FormField, fill, make_form, other_flaws, read_form
from api.ui.shown_input import read_shown_input
from api.ui.view import Pages, View
from sluice.core.count_lanes import CountLanes
from sluice.core.errors import Flaw, Invalid, Malformed
from sluice.core.listing import Filter
from sluice.core.registry import Registry
from sluice.core.strict_json import parse
from sluice.secret_fields import DOTS, find_secrets

PAGES = Pages()
LAST = 8
"""Newest failures of a kind that are shown."""
SUBMIT = ("POST", "/v1/kinds/{kind}/jobs")


@PAGES.get("/kinds", ("GET", "/v1/kinds"))
async def list_kinds(view: View) -> Response:
    """List the catalogue."""
    registry, newest = view.parts[Registry], view.parts[CountLanes].newest()
    return view.show(
        "kinds.html", page="kinds", kinds=[describe(registry[each], newest) for each in registry]
    )


@PAGES.get("/kinds/{kind}", ("GET", "/v1/kinds/{kind}"))
async def show_kind(view: View) -> Response:
    """Show a kind, with a form to run it; `from` is a job whose input fills the form."""
    kind = _find(view)
    given = None
    if (job_id := view.query("from")) and view.sees_payloads and view.may(*SUBMIT):
        await view.parts[Lookup].find(view.caller.tenant, job_id)
        given = await read_shown_input(view, job_id, kind["kind"])
        if len(given) > MOST:
            raise Invalid([Flaw("", "too-long", "This input is too long to be edited here.")])
    fields = make_form(kind["input"], None if given is None else orjson.loads(given))
    whole = indent_json(given)[0] if given is not None else _example(kind["input"])
    if fields is not None and given is not None and not _is_exact(given):
        fields = None
    return await _show(view, kind, fields, whole, [], 200)


@PAGES.act("/kinds/{kind}/run", SUBMIT)
async def run(view: View) -> Response:
    """Submit what the form says, and show the job."""
    kind = _find(view)
    fields = None if WHOLE in view.form else make_form(kind["input"])
    await charge(view.request.scope, view.parts[RateLimits].submits, view.caller.key_id)
    try:
        raw = read_form(fields, view.form) if fields is not None else view.form.get(WHOLE, "").encode()
        value = parse(raw)
        _refuse_dots(view, kind["kind"], value)
        request = SubmitRequest(kind["kind"], value, _read_options(view), "", view.caller.scopes)
        submitted = await view.parts[Submission].submit(
            view.caller.tenant, request, view.request.scope.get(TRACEPARENT)
        )
    except Malformed as error:
        return await _refuse(view, kind, fields, [Flaw("", "json", f"This is not JSON: {error}")])
    except Invalid as error:
        return await _refuse(view, kind, fields, error.flaws)
    known = submitted.reused or submitted.coalesced
    return view.go(f"/jobs/{submitted.document.id}", done="answered-before" if known else "submitted")


def _refuse_dots(view: View, kind: str, value: Any) -> None:
    """Refuse secrets that are the dots which were shown of them. Raises Invalid."""
    secrets = find_secrets(view.parts[Registry][kind].input_model, value)
    detail = "This is secret, and what was shown instead of it: write the value itself."
    if flaws := [Flaw(at, "hidden", detail) for at, secret in secrets.items() if secret == DOTS]:
        raise Invalid(flaws)


def _read_options(view: View) -> SubmitOptions:
    tags = [each.strip() for each in view.form.get("tags", "").split(",") if each.strip()]
    return validate(
        SubmitOptions, {"tags": tags, "priority": view.form.get("priority", "normal")}, "/options"
    )


async def _refuse(
    view: View, kind: dict[str, Any], fields: list[FormField] | None, flaws: list[Flaw]
) -> Response:
    shown = fill(fields, view.form, flaws) if fields is not None else None
    left = other_flaws(fields, flaws) if fields is not None else flaws
    return await _show(view, kind, shown, view.form.get(WHOLE, ""), left, 422)


async def _show(
    view: View,
    kind: dict[str, Any],
    fields: list[FormField] | None,
    whole: str,
    flaws: list[Flaw],
    status: int,
) -> Response:
    failures = []
    if view.may("GET", "/v1/jobs"):
        query = JobQuery(view.caller.tenant, "list", Filter(("failed",), kind["kind"]))
        failures = [show_row(job) for job in (await view.parts[Listing].page(query, LAST, None)).jobs]
    return view.show(
        "kind.html", status, page="kinds", kind=kind, fields=fields, whole=whole, flaws=flaws, failures=failures,
        schema=orjson.dumps(kind["input"], option=orjson.OPT_INDENT_2).decode(),
        output=orjson.dumps(kind["output"], option=orjson.OPT_INDENT_2).decode(),
        priority=view.form.get("priority", "normal"), tags=view.form.get("tags", ""),
    )  # fmt: skip


def _find(view: View) -> dict[str, Any]:
    registry, kind = view.parts[Registry], view.param("kind")
    if kind not in registry:
        raise KindMissing(kind)
    return describe(registry[kind], view.parts[CountLanes].newest())


def _example(schema: dict[str, Any]) -> str:
    example: Any = next(iter(schema.get("examples", ())), {})
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()


def _is_exact(raw: bytes) -> bool:
    """Say whether reading and writing an input again leaves its bytes as they are; if not, it is edited as a text."""
    return orjson.dumps(orjson.loads(raw)) == raw
