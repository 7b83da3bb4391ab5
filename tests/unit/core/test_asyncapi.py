"""docs/asyncapi.yaml describes the events that are sent: no header and no field more, and none less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
import yaml  # type: ignore[import-untyped]  # it has no stubs here

from sluice.core.job import Job, JobState, as_accepted
from sluice.core.job_event import EXCHANGE, describe
from tests.support.make_jobs import AT, finished_job, new_job

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "docs" / "asyncapi.yaml").read_text())
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ERROR = b'{"type":"handler-error","title":"x","retryable":true,"attempt":1,"fingerprint":"0123456789abcdef"}'
ACCEPTED = as_accepted(new_job(), AT)
JOBS = {
    "queued": ACCEPTED,
    "scheduled": as_accepted(new_job(delay_s=9), AT),
    "running": ACCEPTED._replace(state="running", started_at=AT, cancel_requested_at=AT),
    "succeeded": finished_job(traceparent=TRACE),
    "failed": finished_job(state="failed", result=None, error=ERROR, retry_of=ACCEPTED.id),
    "cancelled": finished_job(state="cancelled", result=None),
}


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """What checks a value by one of the document's schemas, formats as well."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_events_of_every_state_are_what_it_says(job: Job) -> None:
    event = describe(job)
    validator("headers").validate(event.headers)
    body = orjson.loads(event.body)
    validator("job").validate(body)
    assert set(body) == set(DOCUMENT["components"]["schemas"]["job"]["properties"])


def test_every_header_that_it_names_is_sent() -> None:
    sent = {name for job in JOBS.values() for name in describe(job).headers}
    assert sent == set(DOCUMENT["components"]["schemas"]["headers"]["properties"])


def test_exchange_key_and_states_are_ours() -> None:
    channel = DOCUMENT["channels"]["jobs"]
    assert channel["bindings"]["amqp"]["exchange"]["name"] == EXCHANGE
    words = {"state": "failed", "tenant": "acme", "kind": "demo.sum"}
    assert channel["address"].format(**words) == describe(JOBS["failed"]).routing_key
    states = {str(each) for each in JobState}
    assert states == set(JOBS) == set(channel["parameters"]["state"]["enum"])
    assert states == set(DOCUMENT["components"]["schemas"]["job"]["properties"]["state"]["enum"])


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 5
    for each in found:
        place: Any = DOCUMENT
        for step in each.removeprefix("#/").split("/"):
            place = place[step]


def references(value: object) -> list[str]:
    """All that the document refers to."""
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [each for part in value.values() for each in references(part)]
    return [each for part in value for each in references(part)] if isinstance(value, list) else []
