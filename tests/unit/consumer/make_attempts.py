"""Attempts to run: jobs as a claim returns them."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import orjson

from consumer.attempt import Attempt
from sluice.core.catalogue import describe
from sluice.core.job import Job
from sluice.handler import AnyHandler

NUMBERS = count(1)


def a_job(handler: AnyHandler, given: Any = None, **fields: Any) -> Job:
    """A running job of this kind."""
    blank: dict[str, Any] = dict.fromkeys(Job._fields)
    usual = {
        "id": str(UUID(int=next(NUMBERS))),
        "tenant": "acme",
        "kind": handler.kind,
        "lane": handler.lane,
        "priority": "normal",
        "state": "running",
        "version": 2,
        "fence": 1,
        "attempt": 1,
        "max_attempts": 5,
        "crash_count": 0,
        "solo_crashes": 0,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "input": orjson.dumps(given or {}),
    }
    return Job(**(blank | usual | fields))


def an_attempt(handler: AnyHandler, given: Any = None, **fields: Any) -> Attempt:
    """An attempt at a running job of this kind."""
    return Attempt(a_job(handler, given, **fields), describe(handler))
