"""The pages that every page links to, in their order."""

from __future__ import annotations

from typing import NamedTuple


class Link(NamedTuple):
    """A page: its name and title, its path within the dashboard, its icon, and the route that a key needs to use to see it."""

    name: str
    title: str
    path: str
    icon: str
    route: str


LINKS = (
    Link("overview", "Overview", "", "layout-dashboard", "/v1/slo"),
    Link("jobs", "Jobs", "/jobs", "list", "/v1/jobs"),
    Link("errors", "Errors", "/errors", "bug", "/v1/errors"),
    Link("kinds", "Kinds", "/kinds", "boxes", "/v1/kinds"),
    Link("lanes", "Lanes", "/lanes", "route", "/v1/lanes"),
    Link("consumers", "Consumers", "/consumers", "server", "/v1/consumers"),
    Link("schedules", "Schedules", "/schedules", "calendar-clock", "/v1/schedules"),
    Link("bulk", "Bulk acts", "/bulk", "layers", "/v1/bulk"),
    Link("webhooks", "Webhooks", "/webhooks", "webhook", "/v1/webhooks"),
    Link("keys", "Keys", "/keys", "key-round", "/v1/keys"),
    Link("audit", "Audit", "/audit", "scroll-text", "/v1/audit"),
    Link("system", "System", "/system", "settings", "/v1/system"),
)
