"""All pages of the dashboard as routes, and the files that they load."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from api.ui.pages import (
    bulk,
    errors,
    installation,
    job,
    jobs,
    keys,
    kinds,
    lanes,
    login,
    overview,
    schedules,
    webhooks,
)
from api.ui.rendering import STATIC
from api.ui.shared import Shared
from api.ui.view import Page, View, route_of
from sluice.core.runtime.pepper_settings import read_peppers
from sluice.core.runtime.settings import Settings

FEATURES = (login, overview, jobs, job, errors, kinds, lanes, installation, schedules, bulk, webhooks, keys)


def make_routes(settings: Settings) -> list[BaseRoute]:
    """Make the routes of the dashboard, which are the last of the application."""
    shared = Shared(read_peppers(settings))
    pages = [page for feature in FEATURES for page in feature.PAGES]
    missing = [Page(method, "/ui/{rest:path}", None, _show_nothing) for method in ("GET", "POST")]
    return [
        Mount("/ui/static", StaticFiles(directory=STATIC)),
        *(route_of(page, shared) for page in [*pages, *missing]),
    ]


async def _show_nothing(view: View) -> Response:
    problem = {
        "title": "There is nothing here",
        "detail": "No page has this address.",
        "flaws": [],
        "retryable": False,
    }
    return view.show("error.html", 404, page="", problem=problem)
