"""Whatever stands in an address or a form of the dashboard, the answer is a page, and never a failure of ours."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from api.ui import schedule_form
from api.ui.pages import kinds
from api.ui.routes import FEATURES
from api.ui.view import Page
from tests.unit.api.ui.conftest import Browser
from tests.unit.api.ui.test_dashboard_pages import submit

PAGES = [page for feature in FEATURES for page in feature.PAGES]
ODD = (
    "", "0", "-1", "99999999999999999999999", "1e999", "nan", "\N{CJK UNIFIED IDEOGRAPH-65E5}", "\0", "\r\nx: y", "a b&c=d",
    "{", '{"values": [1e400]}', "[" * 5_000, "/jobs?x=\N{CJK UNIFIED IDEOGRAPH-65E5}", "00000000-0000-0000-0000-000000000000", "x" * 3_000,
)  # fmt: skip
NAMES = {
    "GET /ui/login": ("next",),
    "GET /ui/jobs": ("page", "q", "state", "kind", "tag", "error", "since", "after", "done"),
    "GET /ui/jobs/export": ("format", "q", "state", "kind", "tag", "error", "since", "after"),
    "GET /ui/kinds/{kind}": ("from",),
    "GET /ui/schedules/new": ("kind",),
    "POST /ui/schedules/new": schedule_form.FIELDS,
    "POST /ui/schedules/{name}/edit": schedule_form.FIELDS,
    "POST /ui/webhooks/make": ("url", "kinds", "tags", "event.job.failed"),
    "GET /ui/bulk/new": ("act", "kind", "created_after"),
    "POST /ui/login": ("key", "next"),
    "POST /ui/theme": ("theme", "next"),
    "POST /ui/kinds/{kind}/run": ("input", "f.values", "tags", "priority"),
    "POST /ui/bulk/new": ("act", "canary", "rate", "kind", "tag", "state", "error", "created_after", "created_before"),
    "POST /ui/bulk/{act_id}/go": ("version",),
    "POST /ui/webhooks/{webhook_id}/redeliver": ("delivery",),
    "POST /ui/keys/make": ("name", "days", "scope.read"),
    "POST /ui/keys/{key_id}/rotate": ("overlap_s",),
    "POST /ui/lanes/{lane}/pause": ("reason",),
}  # fmt: skip
"""What an address or a form may hold; the other pages know of pages of a list, if of anything."""


async def address(browser: Browser, page: Page, odd: str | None) -> str:
    """The path of a page, of things that are there, or with something odd in its place."""
    path = page.path.removeprefix("/ui")
    there = {
        "lane": "default",
        "kind": "demo.sum",
        "job_id": await submit(browser) if "{job_id}" in path else "",
    }
    for name in ("job_id", "fingerprint", "kind", "lane", "name", "act_id", "webhook_id", "key_id", "token"):
        value = there.get(name) if odd is None else quote(odd[:200], safe="")
        path = path.replace("{" + name + "}", value or "00000000-0000-0000-0000-000000000000")
    return path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
async def test_each_page_takes_odd_values_one_by_one(browser: Browser, page: Page) -> None:
    key = browser.api.record.add_key("acme", "read")
    good = {
        **schedule_form.EMPTY,
        "name": "nightly",
        "cron": "@daily",
        "format": "csv",
        "act": "cancel",
        "canary": "1",
        "rate": "5",
        "scope.read": "yes",
        "f.values": "[1]",
        "key": key,
    }
    plain = await address(browser, page, None)
    for odd in ODD:
        asked: list[tuple[str, dict[str, str]]] = [(await address(browser, page, odd), {})]
        asked += [(plain, {name: odd}) for name in NAMES.get(f"{page.method} {page.path}", ("page",))]
        for path, given in asked:
            if page.method == "GET":
                answer = await browser.get(f"{path}?{urlencode(given)}")
            else:
                answer = await browser.act(path, good | given)
            assert answer.status_code < 500, (path, given)
        if page.path == "/ui/logout":
            break


async def test_a_kind_without_a_form_wants_its_input(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "make_form", lambda _: None)
    assert (await browser.act("/kinds/demo.sum/run", {})).status_code == 422
