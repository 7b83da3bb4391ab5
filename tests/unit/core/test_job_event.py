"""Events of jobs: what a CloudEvents SDK reads in them, and keys that subscribers can bind to, whatever the names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.amqp import AMQPMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.job import Job, as_accepted
from sluice.core.job_event import CONTENT_TYPE, describe, routing_key
from tests.support.make_jobs import AT, finished_job, new_job

LATER = AT + timedelta(milliseconds=1500)
ERROR = {
    "type": "handler-error", "title": "ValueError", "detail": "no such card: 4711", "retryable": False,
    "attempt": 2, "fingerprint": "0123456789abcdef",
}  # fmt: skip


def parsed(job: Job) -> BaseCloudEvent:
    """What the SDK makes of the event."""
    event = describe(job)
    message = AMQPMessage({"content-type": CONTENT_TYPE}, dict(event.headers), event.body)
    return from_binary(message, JSONFormat())


def failed_job() -> Job:
    error = orjson.dumps(ERROR)
    return finished_job(state="failed", result=None, error=error, version=12, attempt=2, tags="card=4711")


def test_the_sdk_reads_every_attribute() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    job = finished_job(traceparent=traceparent, finished_at=LATER)
    assert parsed(job).get_attributes() == {
        "specversion": "1.0",
        "id": f"{job.id}.3",
        "source": "/v1/jobs",
        "type": "dev.sluice.job.succeeded.v1",
        "subject": job.id,
        "time": LATER,
        "datacontenttype": "application/json",
        "tenant": "acme",
        "kind": "demo.sum",
        "lane": "default",
        "attempt": 1,
        "sequence": "0000000003",
        "traceparent": traceparent,
    }


def test_the_body_says_what_the_job_came_to_but_nothing_that_went_in_or_out() -> None:
    job = failed_job()._replace(input=b'{"card":4711}')
    assert parsed(job).get_data() == {
        "id": job.id, "tenant": "acme", "kind": "demo.sum", "state": "failed", "version": 12, "lane": "default",
        "attempt": 2, "max_attempts": 5, "created_at": "2026-01-02T00:00:00Z", "started_at": None,
        "finished_at": "2026-01-02T00:00:00Z", "run_at": None, "cancel_requested_at": None, "retry_of": None,
        "error": {"type": "handler-error", "retryable": False, "fingerprint": "0123456789abcdef"},
        "links": {"self": f"/v1/jobs/{job.id}", "result": f"/v1/jobs/{job.id}/result"},
    }  # fmt: skip
    for each in (failed_job(), finished_job()):
        event = describe(each)
        assert b"4711" not in event.body
        assert b"total" not in event.body
        assert "4711" not in str(event.headers)


def test_the_same_change_has_the_same_id_and_a_later_one_sorts_behind_it() -> None:
    job = failed_job()
    assert describe(job) == describe(job)
    first, second = describe(job._replace(version=9)), describe(job._replace(version=10))
    assert first.id != second.id
    assert str(first.headers["cloudEvents_sequence"]) < str(second.headers["cloudEvents_sequence"])


@pytest.mark.parametrize(
    ("changes", "time"),
    [
        ({"state": "queued", "queued_at": LATER}, LATER),
        ({"state": "running", "started_at": LATER}, LATER),
        ({"state": "running", "started_at": AT, "cancel_requested_at": LATER}, LATER),
        ({"state": "scheduled", "run_at": LATER}, None),
        ({"state": "cancelled", "finished_at": LATER}, LATER),
    ],
    ids=["queued", "running", "cancel", "scheduled", "cancelled"],
)
def test_the_time_is_that_of_the_change_where_the_job_knows_it(
    changes: dict[str, Any], time: datetime | None
) -> None:
    job = as_accepted(new_job(), AT)._replace(**changes)
    assert ("cloudEvents_time" in describe(job).headers) == (time is not None)
    event = parsed(job)
    assert time in (None, event.get_time())
    assert event.get_type() == f"dev.sluice.job.{changes['state']}.v1"


def test_the_key_has_the_kind_last_with_its_dots() -> None:
    assert describe(failed_job()).routing_key == "job.failed.acme.demo.sum"


def test_a_tenant_is_one_word_and_no_name_has_what_bindings_mean() -> None:
    assert routing_key("failed", "a.b", "image.x") == "job.failed.a%2Eb.image.x"
    assert routing_key("failed", "*", "#") == "job.failed.%2A.%23"
    assert routing_key("failed", "a%2Eb", "ü") == "job.failed.a%252Eb.%C3%BC"


def test_names_that_are_too_long_stay_apart() -> None:
    one, other = (routing_key("failed", "t" * 200 + end, "k" * 64) for end in "ab")
    assert one != other
    assert one[:100] == other[:100]


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


@given(names, names)
def test_whatever_the_names_the_key_fits_and_has_its_words_in_their_places(tenant: str, kind: str) -> None:
    key = routing_key("succeeded", tenant, kind)
    assert key.isascii()
    assert len(key) <= 255
    words = key.split(".")
    assert words[:2] == ["job", "succeeded"]
    assert not {"*", "#"} & set(words)
    job = finished_job(tenant=tenant, kind=kind)
    assert parsed(job).get_attributes()["tenant"] == tenant
    assert job.result is not None
    assert describe(job).headers["cloudEvents_time"] == AT.astimezone(UTC).isoformat().replace("+00:00", "Z")


@given(names, names)
def test_different_tenants_have_different_words(one: str, other: str) -> None:
    same = routing_key("failed", one, "k") == routing_key("failed", other, "k")
    assert same == (one == other)
