"""Compare what a tenant was told of its jobs, by webhooks and events, with the record, and what its bulk act has done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from tests.fault.chaos.client_log import Violations
from tests.support.webhook_receiver import Received, signed_by

TO_CANCEL = "to-cancel"
"""The tag of the jobs that the bulk act cancels."""
ONCE_CANCELLED = 2
"""The version of a job that was accepted and then cancelled, each once."""


class ToldRow(NamedTuple):
    """A job of the tenant as the record has it; `finished` in seconds since the epoch."""

    id: str
    state: str
    version: int
    tags: str | None
    finished: float | None


class HeardEvent(NamedTuple):
    """An event as a subscriber heard it."""

    job_id: str
    id: str
    state: str
    sequence: str


class Told(NamedTuple):
    """All that was told. `gaps` are times in which RabbitMQ lost its queues: what ended then may not have been heard."""

    rows: Sequence[ToldRow]
    received: Sequence[Received]
    heard: Sequence[HeardEvent]
    act: Mapping[str, Any]
    secret: str
    gaps: Sequence[tuple[float, float]] = ()


def judge_told(told: Told, violations: Violations) -> dict[str, int]:
    """Name every contradiction; return what was counted."""
    _check_webhooks(told, violations)
    _check_events(told, violations)
    cancelled = _check_act(told, violations)
    return {
        "webhooks received": len(told.received),
        "events heard": len(told.heard),
        "jobs cancelled by the bulk act": cancelled,
    }


def _finished(told: Told) -> list[ToldRow]:
    return [row for row in told.rows if row.finished is not None]


def _check_webhooks(told: Told, violations: Violations) -> None:
    """Check that each ending came, under one id, signed, and as the record has it."""
    ids, types = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for each in told.received:
        body = orjson.loads(each.body)
        if not signed_by(told.secret, each):
            violations.add("webhook badly signed", each)
        ids[body["data"]["id"]].add(each.headers["webhook-id"])
        types[body["data"]["id"]].add(body["type"])
    for row in _finished(told):
        if len(ids[row.id]) > 1:
            violations.add("ending under two ids", f"{row}: {ids[row.id]}")
        elif types[row.id] != {f"job.{row.state}"}:
            name = "webhook of another ending" if types[row.id] else "ending without webhook"
            violations.add(name, f"{row}: {types[row.id]}")
    for stranger in ids.keys() - {row.id for row in told.rows}:
        violations.add("webhook of another's job", stranger)


def _check_events(told: Told, violations: Violations) -> None:
    """Check that each ending was heard, as the record has it, and never an older one after it."""
    heard: dict[str, list[HeardEvent]] = defaultdict(list)
    for each in told.heard:
        if heard[each.job_id] and each.sequence < heard[each.job_id][-1].sequence:
            violations.add("events out of order", f"{each} after {heard[each.job_id][-1]}")
        heard[each.job_id].append(each)
    for row in _finished(told):
        if any(begin <= (row.finished or 0) <= end for begin, end in told.gaps):
            continue
        wanted = (f"{row.id}.{row.version}", row.state)
        if wanted not in {(each.id, each.state) for each in heard[row.id]}:
            violations.add("ending without event", f"{row}: {heard[row.id]}")


def _check_act(told: Told, violations: Violations) -> int:
    """Check that the act has ended, and that it changed each of its jobs once; returns how many those are."""
    ours = [row for row in told.rows if row.tags == TO_CANCEL]
    if told.act.get("state") != "finished" or told.act.get("changed") != len(ours):
        violations.add("bulk act unfinished or miscounted", f"{len(ours)} jobs: {told.act}")
    for row in ours:
        if (row.state, row.version) != ("cancelled", ONCE_CANCELLED):
            violations.add("not changed once by the bulk act", row)
    return len(ours)
