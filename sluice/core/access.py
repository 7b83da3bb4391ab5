"""Who may do what: scopes of API keys, keys as their owners see them, and who did something that is written down."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

SCOPES = ("submit", "read", "payloads", "admin", "operate")
"""What keys can be made for: the last for what all tenants share, the others for what is the tenant's own."""
PAYLOADS = "payloads"
"""The right to see results of jobs and inputs of schedules; without it, whoever looks sees all but these."""
MOST_KEYS = 1_000
"""Keys of one tenant that are good at the same time."""
KEY_NAME = r"[A-Za-z0-9][A-Za-z0-9 ._@/:-]{0,63}"
LONGEST_DAYS = 36_500
LEAST_OVERLAP_S, USUAL_OVERLAP_S, MOST_OVERLAP_S = 60, 86_400, 2_592_000
"""Seconds for which a key that is replaced stays good: at least so many that an answer which was lost can be asked for again."""


class Actor(NamedTuple):
    """Who does something that is written down: a key, in a request; or an operator by a command, who has neither."""

    key_id: str | None = None
    request_id: str | None = None


OPERATOR = Actor()


class Note(NamedTuple):
    """What is written down of a change of many jobs: whose key does it, and what about it, as JSON."""

    key_id: str | None = None
    about: str = "{}"


NOTHING = Note()


class AuditEntry(NamedTuple):
    """Something that was done, by a key or (None) by an operator; `detail` is JSON."""

    id: int
    at: datetime
    key_id: str | None
    action: str
    object: str
    detail: str


class NewApiKey(NamedTuple):
    """A key as it comes into the record: never the secret, only its HMAC-SHA256, and by which pepper. Without `expires_days` it does not expire."""

    key_id: str
    tenant: str
    scopes: frozenset[str]
    secret_hmac: bytes
    name: str | None = None
    expires_days: int | None = None
    pepper_id: str | None = None


class ListedKey(NamedTuple):
    """A key as its tenant sees it. `usable` is what the record's clock says; `pepper_id` is for operators alone."""

    key_id: str
    tenant: str
    name: str | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None
    usable: bool
    pepper_id: str | None = None


class PepperUse(NamedTuple):
    """What hangs on a pepper: good keys, when one of them was used last, and webhooks. Without an id: of what is not known."""

    pepper_id: str | None
    keys: int
    last_used_at: datetime | None
    webhooks: int
