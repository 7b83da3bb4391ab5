"""The OpenAPI document says what webhooks are sent: no event, field or header more, and none less."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson
import pytest

from sluice.core.webhook import sign, write_body, write_test, write_verification
from tests.support.make_jobs import AT, finished_job

ERROR = b'{"type":"handler-error","title":"x","detail":"%b","retryable":true,"attempt":1,"fingerprint":"0123456789abcdef"}'
BODIES = {
    "job.succeeded": write_body(finished_job()),
    "job.failed": write_body(finished_job(state="failed", result=None, error=ERROR % b"y")),
    "job.failed, cut": write_body(finished_job(state="failed", result=None, error=ERROR % (b"y" * 30_000))),
    "job.cancelled": write_body(finished_job(state="cancelled", result=None)),
    "webhook.test": write_test(AT),
    "webhook.verify": write_verification(AT),
}


def schema_of(document: dict[str, Any], event: str) -> dict[str, Any]:
    """The schema of the body of a delivery."""
    media = document["webhooks"][event]["post"]["requestBody"]["content"]["application/json"]
    schema: dict[str, Any] = document["components"]["schemas"][media["schema"]["$ref"].rsplit("/", 1)[1]]
    return schema


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_sent_is_what_it_says(document: dict[str, Any], body: bytes) -> None:
    sent = orjson.loads(body)
    schema = schema_of(document, sent["type"])
    whole = schema | {"components": document["components"]}
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(sent)
    assert sent.keys() == schema["properties"].keys()
    fields = document["components"]["schemas"]["JobItem"]["properties"].keys()
    assert sent["data"].keys() == (fields if sent["type"].startswith("job.") else set())


def test_every_event_is_described_and_no_other(document: dict[str, Any]) -> None:
    assert document["webhooks"].keys() == {orjson.loads(body)["type"] for body in BODIES.values()}
    named = document["components"]["schemas"]["WebhookRequest"]["properties"]["events"]["items"]["enum"]
    assert {each for each in document["webhooks"] if each.startswith("job.")} == set(named)


def test_the_headers_of_a_signature_are_described(document: dict[str, Any]) -> None:
    for event, item in document["webhooks"].items():
        told = {each["name"] for each in item["post"]["parameters"]}
        sent = sign([b"secret"], "an-id", 1_700_000_000, b"{}").keys()
        assert told == sent | ({"webhook-challenge"} if event == "webhook.verify" else set())


def test_a_delivery_carries_no_key_of_ours(document: dict[str, Any]) -> None:
    assert document["security"]
    assert all(item["post"]["security"] == [] for item in document["webhooks"].values())


def test_a_field_that_is_not_sent_would_be_found(document: dict[str, Any]) -> None:
    sent = orjson.loads(BODIES["job.succeeded"])
    del sent["data"]["version"]
    whole = schema_of(document, "job.succeeded") | {"components": document["components"]}
    assert not jsonschema_rs.Draft202012Validator(whole).is_valid(sent)
