"""The installation: its consumers, and the system that all of it runs on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from api.installation.installation import Installation
from api.installation.routes import show_consumer
from api.ui.view import Pages, View
from sluice.core.registry import Registry
from sluice.core.retention import kept_s
from sluice.core.runtime.settings import Settings

PAGES = Pages()
SIZE = 50
SILENT_S = 15.0
"""Seconds after which a consumer that lives is shown as silent: it renews its lease every few."""
DELIVERIES_S = 7 * 86_400.0
"""Seconds for which deliveries of webhooks are kept."""


@PAGES.get("/consumers", ("GET", "/v1/consumers"))
async def list_consumers(view: View) -> Response:
    """List the consumers, those of one host together."""
    found, token = await view.parts[Installation].consumers(SIZE, view.query("page"))
    shown = sorted(
        (_show(show_consumer(each)) for each in found), key=lambda each: (each["host"], each["pid"])
    )
    return view.show(
        "consumers.html", page="consumers", consumers=shown, figures=_figures(shown), paged=bool(view.query("page")),
        releases=sorted({each["release"] for each in shown}), next=token and view.url("/consumers", page=token),
    )  # fmt: skip


@PAGES.get("/system", ("GET", "/v1/system"))
async def show_system(view: View) -> Response:
    """Show servers, the record, what is kept for how long, and the settings."""
    system, settings = await view.parts[Installation].describe(), view.parts[Settings]
    return view.show(
        "system.html", page="system", system=system, kept=_kept(settings, view.parts[Registry]),
        total=sum(table.size for table in system.record.tables) if system.record else 0,
        changed=[each for each in system.settings if not each.is_default],
        usual=[each for each in system.settings if each.is_default],
    )  # fmt: skip


def _show(consumer: dict[str, Any]) -> dict[str, Any]:
    known = [lane for lane in consumer["lanes"] if lane["slots"] is not None]
    told = [lane["running"] for lane in known if lane["running"] is not None]
    state = "away" if not consumer["alive"] else "silent" if consumer["silent_s"] > SILENT_S else "up"
    return consumer | {
        "state": state,
        "slots": sum(lane["slots"] for lane in known),
        "running": sum(told) if told else None,
        "per_second": sum(lane["per_second"] for lane in known),
    }


def _figures(consumers: Iterable[dict[str, Any]]) -> dict[str, float]:
    living = [each for each in consumers if each["state"] != "away"]
    return {
        "Consumers": len(living),
        "Jobs in hand": sum(each["running"] or 0 for each in living),
        "Slots": sum(each["slots"] for each in living),
        "Finished a second": sum(each["per_second"] for each in living),
    }


def _kept(settings: Settings, kinds: Registry[Any]) -> list[tuple[str, float]]:
    own = {kind: kept_s(kinds[kind], settings.keep_s) for kind in kinds}
    return [
        ("Finished jobs, their attempts and logs", settings.keep_s),
        *((f"those of {kind}", seconds) for kind, seconds in own.items() if seconds != settings.keep_s),
        ("Idempotency keys", settings.idempotency_keep_s),
        ("Deliveries of webhooks", DELIVERIES_S),
        ("Audit", settings.audit_keep_s),
    ]
