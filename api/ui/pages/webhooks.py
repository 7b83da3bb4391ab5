"""Webhooks: endpoints, what was sent to each, testing and sending again."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from api.http.schemas import validate
from api.ui.view import Pages, View
from api.webhooks.schemas import RedeliverRequest
from api.webhooks.webhooks import Webhooks
from sluice.core.webhook import Try

PAGES = Pages()
SIZE = 50
ANSWER = 1_000
"""Bytes of an endpoint's answer that are shown."""
ONE = "/webhooks/{webhook_id}"
API = "/v1/webhooks/{webhook_id}"


@PAGES.get("/webhooks", ("GET", "/v1/webhooks"))
async def list_webhooks(view: View) -> Response:
    """List the endpoints."""
    return view.show(
        "webhooks.html", page="webhooks", hooks=await view.parts[Webhooks].all(view.caller.tenant)
    )


@PAGES.get(ONE, ("GET", API))
async def show_webhook(view: View) -> Response:
    """Show an endpoint, and what was sent to it."""
    tenant, webhook_id, hooks = view.caller.tenant, view.param("webhook_id"), view.parts[Webhooks]
    hook = await hooks.find(tenant, webhook_id)
    tries, more = await hooks.tries(tenant, webhook_id, SIZE, view.query("page"))
    following = view.url(f"/webhooks/{webhook_id}", page=tries[-1].id) if more else None
    return view.show(
        "webhook.html", page="webhooks", hook=hook, tries=[_show_try(each) for each in tries], next=following
    )


@PAGES.act(f"{ONE}/test", ("POST", f"{API}/test"))
async def test(view: View) -> Response:
    """Send something that tells of no job."""
    await view.parts[Webhooks].test(view.caller.tenant, view.param("webhook_id"), view.by)
    return view.go(f"/webhooks/{view.param('webhook_id')}", done="tested")


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
