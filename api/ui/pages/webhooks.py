"""Webhooks: endpoints, making one and its next secret, what was sent to each, testing, verifying, sending again, deleting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from starlette.responses import Response

from api.http.schemas import validate
from api.ui.view import Pages, View
from api.webhooks.schemas import EventName, RedeliverRequest, RotateSecretRequest, WebhookRequest
from api.webhooks.webhooks import Webhooks
from sluice.core.errors import Flaw, Invalid
from sluice.core.webhook import Try

PAGES = Pages()
SIZE = 50
ANSWER = 1_000
"""Bytes of an endpoint's answer that are shown."""
EVENTS: tuple[str, ...] = get_args(EventName)
ONE = "/webhooks/{webhook_id}"
API = "/v1/webhooks/{webhook_id}"


@PAGES.get("/webhooks", ("GET", "/v1/webhooks"))
async def list_webhooks(view: View) -> Response:
    """List the endpoints."""
    return await _show_all(view)


@PAGES.act("/webhooks/make", ("POST", "/v1/webhooks"))
async def make(view: View) -> Response:
    """Make an endpoint, and show its secret once."""
    asked: dict[str, Any] = {"url": view.form.get("url", "").strip()} | {
        name: [word for each in view.form.get(name, "").split(",") if (word := each.strip())]
        for name in ("kinds", "tags")
    }
    asked["events"] = _ticked(view)
    try:
        request = validate(WebhookRequest, asked)
        made = await view.parts[Webhooks].create(view.caller.tenant, request, view.by)
    except Invalid as error:
        return await _show_all(view, flaws=error.flaws, status=422)
    return await _show_all(view, secret=made.secret, status=201)


@PAGES.get(ONE, ("GET", API))
async def show_webhook(view: View) -> Response:
    """Show an endpoint, and what was sent to it."""
    return await _show_one(view)


@PAGES.act(f"{ONE}/rotate", ("POST", f"{API}/rotate"))
async def rotate(view: View) -> Response:
    """Begin its next secret, and show it once; the old one signs beside it for a day."""
    overlap_s = RotateSecretRequest().overlap_s
    made = await view.parts[Webhooks].rotate(view.caller.tenant, view.param("webhook_id"), overlap_s, view.by)
    return await _show_one(view, secret=made.secret, status=201)


@PAGES.act(f"{ONE}/delete", ("DELETE", API))
async def delete(view: View) -> Response:
    """Delete it; what was to be sent is given up."""
    await view.parts[Webhooks].delete(view.caller.tenant, view.param("webhook_id"), view.by)
    return view.go("/webhooks", done="webhook-deleted")


async def _show_all(view: View, secret: str = "", flaws: Sequence[Flaw] = (), status: int = 200) -> Response:
    hooks = await view.parts[Webhooks].all(view.caller.tenant)
    given = {name: view.form.get(name, "") for name in ("url", "kinds", "tags")}
    return view.show(
        "webhooks.html", status, page="webhooks", hooks=hooks, secret=secret, flaws=flaws,
        given=given if flaws else dict.fromkeys(given, ""), events=EVENTS, chosen=_ticked(view) if flaws else EVENTS,
    )  # fmt: skip


def _ticked(view: View) -> list[str]:
    return [each for each in EVENTS if view.form.get(f"event.{each}")]


async def _show_one(view: View, secret: str = "", status: int = 200) -> Response:
    tenant, webhook_id, hooks = view.caller.tenant, view.param("webhook_id"), view.parts[Webhooks]
    hook = await hooks.find(tenant, webhook_id)
    tries, more = await hooks.tries(tenant, webhook_id, SIZE, view.query("page"))
    following = view.url(f"/webhooks/{webhook_id}", page=tries[-1].id) if more else None
    return view.show(
        "webhook.html", status, page="webhooks", hook=hook, tries=[_show_try(each) for each in tries],
        next=following, secret=secret,
    )  # fmt: skip


@PAGES.act(f"{ONE}/test", ("POST", f"{API}/test"))
async def test(view: View) -> Response:
    """Send something that tells of no job."""
    await view.parts[Webhooks].test(view.caller.tenant, view.param("webhook_id"), view.by)
    return view.go(f"/webhooks/{view.param('webhook_id')}", done="tested")


@PAGES.act(f"{ONE}/verify", ("POST", f"{API}/verify"))
async def verify(view: View) -> Response:
    """Ask it to prove that it wants what is sent."""
    await view.parts[Webhooks].verify(view.caller.tenant, view.param("webhook_id"), view.by)
    return view.go(f"/webhooks/{view.param('webhook_id')}", done="verified")


@PAGES.act(f"{ONE}/redeliver", ("POST", f"{API}/redeliver"))
async def redeliver(view: View) -> Response:
    """Send one delivery again."""
    request = validate(RedeliverRequest, {"delivery": view.form.get("delivery", "")})
    await view.parts[Webhooks].redeliver(
        view.caller.tenant, view.param("webhook_id"), lambda: request, view.by
    )
    return view.go(f"/webhooks/{view.param('webhook_id')}", done="redelivered")


def _show_try(sent: Try) -> dict[str, Any]:
    answer = (sent.answer or b"")[:ANSWER].decode("utf-8", "replace")
    return sent._asdict() | {"answer": answer}
