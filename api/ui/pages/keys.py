"""Keys of the tenant, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from starlette.responses import Response

from api.access.audit import Audit
from api.access.key_admin import KeyAdmin
from api.access.schemas import KeyRequest, RotateRequest
from api.http.schemas import validate
from api.ui.view import Pages, View, listed, say
from sluice.core.access import SCOPES, USUAL_OVERLAP_S, AuditEntry
from sluice.core.errors import Flaw, Invalid

PAGES = Pages()
SIZE = 100
API = "/v1/keys"
OVERLAPS = {"an hour": 3_600, "a day": 86_400, "a week": 604_800}
"""Choices of how long a key that is replaced stays good, in seconds."""


@PAGES.get("/keys", ("GET", API))
async def list_keys(view: View) -> Response:
    """List the keys."""
    return await _show(view)


@PAGES.act("/keys/make", ("POST", API))
async def make(view: View) -> Response:
    """Make a key, and show it once."""
    asked: dict[str, Any] = {"scopes": [each for each in SCOPES if view.form.get(f"scope.{each}")]}
    if name := view.form.get("name", "").strip():
        asked["name"] = name
    try:
        if days := view.form.get("days", "").strip():
            asked["expires_days"] = _read_whole(days, "/expires_days", "Days")
        made = await view.parts[KeyAdmin].create(view.caller, validate(KeyRequest, asked), view.by)
    except Invalid as error:
        return await _show(view, flaws=error.flaws, status=422)
    return await _show(view, made=made.text, status=201)


@PAGES.act("/keys/{key_id}/rotate", ("POST", "/v1/keys/{key_id}/rotate"))
async def rotate(view: View) -> Response:
    """Put a new key in the place of one, and show it once; the old one stays good for a while."""
    text = view.form.get("overlap_s", "").strip() or str(USUAL_OVERLAP_S)
    try:
        request = validate(RotateRequest, {"overlap_s": _read_whole(text, "/overlap_s", "Seconds")})
    except Invalid as error:
        return await _show(view, flaws=error.flaws, status=422)
    made = await view.parts[KeyAdmin].rotate(view.caller, view.param("key_id"), request.overlap_s, view.by)
    return await _show(view, made=made.text, old_ends_at=made.old_ends_at, status=201)


@PAGES.act("/keys/{key_id}/revoke", ("DELETE", "/v1/keys/{key_id}"))
async def revoke(view: View) -> Response:
    """Refuse a key from now on."""
    await view.parts[KeyAdmin].revoke(view.caller.tenant, view.param("key_id"), view.by)
    return view.go("/keys", done="revoked")


@PAGES.get("/audit", ("GET", "/v1/audit"))
async def show_audit(view: View) -> Response:
    """List what was done, newest first."""
    entries, token = await view.parts[Audit].page(view.caller.tenant, SIZE, view.query("page"))
    return view.show(
        "audit.html", page="audit", entries=[_show_entry(each) for each in entries],
        next=token and view.url("/audit", page=token), paged=bool(view.query("page")),
    )  # fmt: skip


async def _show(
    view: View,
    made: str = "",
    flaws: Sequence[Flaw] = (),
    status: int = 200,
    old_ends_at: datetime | None = None,
) -> Response:
    found, more = await view.parts[KeyAdmin].page(view.caller.tenant, SIZE, view.query("page"))
    return view.show(
        "keys.html", status, page="keys", keys=found, made=made, flaws=flaws, old_ends_at=old_ends_at,
        scopes=[each for each in SCOPES if each in view.caller.scopes], overlaps=OVERLAPS,
        next=view.url("/keys", page=found[-1].key_id) if more else None,
    )  # fmt: skip


def _read_whole(text: str, pointer: str, unit: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Invalid([Flaw(pointer, "number", f"{unit} are a whole number.")])
    return int(text)


def _show_entry(entry: AuditEntry) -> dict[str, Any]:
    detail = listed(orjson.loads(entry.detail))
    return entry._asdict() | {"detail": [(name.replace("_", " "), say(value)) for name, value in detail]}
