"""Whether a webhook is genuine: the same as the library of the standard says."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from sluice.client import webhooks
from sluice.client.webhooks import WebhookRefused
from tests.support.scripted_server import DONE

OLD, NEW, OTHER = (f"whsec_{base64.b64encode(text * 8).decode()}" for text in (b"old!", b"new!", b"else"))
BODY = json.dumps(
    {"type": "job.succeeded", "timestamp": "2026-11-28T09:40:07.195549Z", "data": DONE}
).encode()


def signed(*secrets: str, body: bytes = BODY, at: float | None = None) -> dict[str, str]:
    """The headers of a request that is signed with these secrets, by the library of the standard."""
    sent = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    signatures = " ".join(Webhook(secret).sign("msg_1", sent, body.decode()) for secret in secrets)
    return {
        "Webhook-Id": "msg_1",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": signatures,
    }


@pytest.mark.parametrize(
    ("by", "known"), [((OLD,), OLD), ((OLD,), [NEW, OLD]), ((NEW, OLD), [OLD]), ((OTHER, NEW), (OLD, NEW))]
)
def test_what_one_of_the_secrets_has_signed_is_genuine(by: tuple[str, ...], known: Any) -> None:
    event = webhooks.verify(signed(*by), BODY, known)
    assert (event.id, event.type, event.timestamp.year) == ("msg_1", "job.succeeded", 2026)
    assert event.job is not None
    assert (event.job.id, event.job.state) == (DONE["id"], "succeeded")
    assert webhooks.verify(signed(*by), BODY.decode(), known).id == "msg_1"


def test_a_test_has_no_job() -> None:
    body = json.dumps({"type": "webhook.test", "timestamp": "2026-11-28T09:40:07Z", "data": {}}).encode()
    assert webhooks.verify(signed(NEW, body=body), body, NEW).job is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [({}, BODY), ({"webhook-id": "msg_2"}, BODY), ({"webhook-signature": ""}, BODY), ({"webhook-signature": "v1,"}, BODY),
     ({"webhook-signature": "v1,\u00e4"}, BODY), ({"webhook-timestamp": "x"}, BODY), ({"webhook-timestamp": "9" * 40}, BODY), ({}, BODY + b" ")],
)  # fmt: skip
def test_everything_else_is_refused_as_the_library_refuses_it(headers: dict[str, str], body: bytes) -> None:
    given = {name.lower(): text for name, text in (signed(NEW) | headers).items()}
    secret = OTHER if not headers and body == BODY else NEW
    with pytest.raises(WebhookRefused):
        webhooks.verify(given, body, [secret])
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(secret).verify(body.decode(), given)


@pytest.mark.parametrize("off_s", [-301, 301])
def test_what_is_old_or_from_the_future_is_refused(off_s: int) -> None:
    headers = signed(NEW, at=1_000_000)
    assert webhooks.verify(headers, BODY, NEW, now=1_000_000).id == "msg_1"
    with pytest.raises(WebhookRefused, match="old"):
        webhooks.verify(headers, BODY, NEW, now=1_000_000 + off_s)


@pytest.mark.parametrize("missing", ["Webhook-Id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(missing: str) -> None:
    headers = signed(NEW)
    del headers[missing]
    with pytest.raises(WebhookRefused, match=missing.lower()):
        webhooks.verify(headers, BODY, NEW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type": 1}',
        b'{"type": "x", "timestamp": "y", "data": {}}',
        b'{"a": {"b"',
        b'{"type": "x", "timestamp": "2026-11-28T09:40:07Z", "data": {"id": "x", "state": "queued", "version": 1, "attempt": 1e999}}',
    ],
)
def test_a_body_that_is_no_event_is_refused_though_it_is_signed(body: bytes) -> None:
    with pytest.raises(WebhookRefused, match="body"):
        webhooks.verify(signed(NEW, body=body), body, NEW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_of_bytes_that_are_no_text_is_refused(name: str) -> None:
    headers = {each.lower(): text for each, text in signed(NEW).items()} | {name: "v1,\udcff"}
    with pytest.raises(WebhookRefused):
        webhooks.verify(headers, BODY, NEW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_*"])
def test_a_secret_that_is_none_is_a_mistake_of_the_caller(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        webhooks.verify(signed(NEW), BODY, secret)
