"""What a tenant was told is compared with the record: each contradiction is named, and what is right is not."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from sluice.core.webhook import sign
from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.told_checker import TO_CANCEL, HeardEvent, Told, ToldRow, judge_told
from tests.support.webhook_receiver import Received

SECRET = b"s" * 32
SHOWN = "whsec_" + base64.b64encode(SECRET).decode()
DONE = ToldRow("a", "succeeded", 3, None, 100.0)
CANCELLED = ToldRow("b", "cancelled", 2, TO_CANCEL, 101.0)
ACT = {"state": "finished", "changed": 1}


def hook(job_id: str, state: str, delivery_id: str | None = None, secret: bytes = SECRET) -> Received:
    """Make a webhook as it comes."""
    body = orjson.dumps({"type": f"job.{state}", "data": {"id": job_id}})
    return Received("/hook", sign([secret], delivery_id or f"of-{job_id}", 1, body), body)


def event(row: ToldRow, **changes: Any) -> HeardEvent:
    """Make the event of an ending."""
    heard = HeardEvent(row.id, f"{row.id}.{row.version}", row.state, f"{row.version:010}")
    return heard._replace(**changes)


GOOD = Told(
    rows=[DONE, CANCELLED],
    received=[hook("a", "succeeded"), hook("b", "cancelled"), hook("b", "cancelled")],
    heard=[event(DONE), event(CANCELLED), event(CANCELLED)],
    act=ACT,
    secret=SHOWN,
)


def found(**changes: Any) -> set[str]:
    """Return the names of what is violated."""
    violations = Violations()
    judge_told(GOOD._replace(**changes), violations)
    return set(violations.counts)


def test_what_was_told_at_least_once_is_all_right() -> None:
    violations = Violations()
    counts = judge_told(GOOD, violations)
    assert not violations.counts
    assert counts == {"webhooks received": 3, "events heard": 3, "jobs cancelled by the bulk act": 1}


def test_an_ending_has_a_signed_webhook_under_one_id() -> None:
    of_b = hook("b", "cancelled")
    assert found(received=[of_b]) == {"ending without webhook"}
    twice = [hook("a", "succeeded"), hook("a", "succeeded", "another"), of_b]
    assert found(received=twice) == {"ending under two ids"}
    assert found(received=[hook("a", "failed"), of_b]) == {"webhook of another ending"}
    assert found(received=[hook("a", "succeeded", secret=b"x" * 32), of_b]) == {"webhook badly signed"}
    assert found(received=[*GOOD.received, hook("c", "failed")]) == {"webhook of another's job"}


def test_an_ending_has_an_event_unless_rabbitmq_lost_its_queues_meanwhile() -> None:
    of_a, of_b = event(DONE), event(CANCELLED)
    assert found(heard=[of_a]) == {"ending without event"}
    assert found(heard=[of_a], gaps=[(100.5, 101.5)]) == set()
    assert found(heard=[of_a], gaps=[(101.5, 200)]) == {"ending without event"}
    assert found(heard=[of_a, event(CANCELLED, state="succeeded")]) == {"ending without event"}
    older = event(DONE, id="a.2", sequence=f"{2:010}")
    assert found(heard=[older, of_a, of_b]) == set()
    assert found(heard=[of_a, older, of_b]) == {"events out of order"}


def test_a_bulk_act_ends_and_changes_each_job_once() -> None:
    assert found(act={}) == found(act=ACT | {"changed": 2}) == {"bulk act unfinished or miscounted"}
    assert found(act=ACT | {"state": "running"}) == {"bulk act unfinished or miscounted"}
    again = CANCELLED._replace(version=3)
    assert found(rows=[DONE, again], heard=[event(DONE), event(again)]) == {
        "not changed once by the bulk act"
    }
