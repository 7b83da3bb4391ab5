"""How each kind of document is shown: as a table, in CSV, and by its id."""

from __future__ import annotations

from sluice.cli import tables
from sluice.cli.formats import View

OF_A_JOB = (
    *("id", "kind", "state", "created_at", "started_at", "finished_at", "run_at", "deadline", "attempt", "max_attempts", "lane"),
    *("priority", "tags", "progress", "waiting_on", "retry_of", "error", "result"),
)  # fmt: skip
"""Columns of jobs in CSV. New ones come last."""
_OF_A_KIND = ("kind", "lane", "timeout_s", "max_attempts", "cache_s", "max_input", "description")
_OF_A_LANE = (
    *("name", "queued", "running", "slots", "oldest_s", "per_second", "drain_s", "consumers", "paused"),
)
_OF_AN_ERROR = (
    *("fingerprint", "state", "count", "kind", "type", "title", "detail", "first_at", "newest_at"),
    *("marked_at", "back", "example"),
)
_OF_A_BULK_ACT = (
    *(
        "id",
        "act",
        "state",
        "reason",
        "filter",
        "matched",
        "changed",
        "canary",
        "canary_failed",
        "most_failed",
    ),
    *("rate", "created_at", "finished_at"),
)
_OF_A_WEBHOOK = (
    *("id", "url", "events", "kinds", "tags", "created_at", "old_until", "failing_since", "disabled_at"),
    *("disabled_why", "secret", "verified_at", "verification_failed"),
)
_OF_A_DELIVERY = (
    *("id", "job_id", "event", "state", "tries", "created_at", "tried_at", "due", "status", "outcome"),
    "answer",
)
_OF_A_SCHEDULE = (
    *("name", "cron", "timezone", "kind", "input", "options", "catch_up", "paused", "next_at", "last_at"),
    *("last_job_id", "created_at", "describes"),
)
_OF_A_KEY = (
    *("id", "name", "scopes", "usable", "created_at", "expires_at", "revoked_at", "last_used_at"),
    *("replaced_by", "key", "replaces", "old_ends_at"),
)

JOBS = View(OF_A_JOB, table=tables.jobs)
JOB = View(OF_A_JOB, table=tables.fields)
ATTEMPTS = View(("attempt", "outcome", "started_at", "finished_at", "error"), "outcome", tables.attempts)
EXPLANATION = View(
    ("job_id", "state", "reason", "detail", "position", "eta", "timeline"), "job_id", tables.explanation
)
ERRORS = View(_OF_AN_ERROR, "fingerprint", table=tables.errors)
ERROR = View(_OF_AN_ERROR, "fingerprint", table=tables.error)
KINDS = View(_OF_A_KIND, "kind", table=tables.kinds)
KIND = View(_OF_A_KIND, "kind", table=tables.fields)
LANES = View(_OF_A_LANE, "name", table=tables.lanes)
LANE = View(_OF_A_LANE, "name", table=tables.fields)
PROFILES = View(("name", "url"), "name", tables.profiles)
BULK_ACTS = View(_OF_A_BULK_ACT, table=tables.bulk_acts)
BULK_ACT = View(_OF_A_BULK_ACT, table=tables.bulk_act)
WEBHOOKS = View(_OF_A_WEBHOOK, table=tables.webhooks)
WEBHOOK = View(_OF_A_WEBHOOK, table=tables.fields)
DELIVERIES = View(_OF_A_DELIVERY, table=tables.deliveries)
DELIVERY = View(_OF_A_DELIVERY, table=tables.fields)
REDELIVERED = View(("count",), "count", tables.fields)
SCHEDULES = View(_OF_A_SCHEDULE, "name", tables.schedules)
SCHEDULE = View(_OF_A_SCHEDULE, "name", tables.fields)
KEYS = View(_OF_A_KEY, table=tables.keys)
KEY = View(_OF_A_KEY, table=tables.fields)
