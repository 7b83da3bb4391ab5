"""Webhooks: endpoints and deliveries as the flows see them, how a delivery is signed (Standard Webhooks), and when it is tried again."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from sluice.core.document import render_item
from sluice.core.job import Job

TEST = "webhook.test"
VERIFY = "webhook.verify"
CHALLENGE, CHALLENGE_RESPONSE = "webhook-challenge", "webhook-challenge-response"
"""Headers: what an endpoint is to prove itself with, and where it sends it back."""
MOST_ENDPOINTS = 100
"""Endpoints of one tenant."""
MOST_VERIFICATIONS = 100
"""Verifications that one tenant may ask for in an hour, of endpoints that it has, had or has twice."""
LARGEST_BODY = 20_000
SECRET_PREFIX = "whsec_"  # noqa: S105  not a secret

MINUTE, HOUR = 60, 3_600
PAUSES_S = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""Seconds from one try to the next: ten tries in 75 hours."""
LONGEST_PAUSE_S = 24 * HOUR
DISABLED_AFTER_S = 5 * 24 * HOUR
"""Seconds for which every try must have failed before an endpoint is disabled."""
GONE = 410
VERIFICATION_TRIES = 4
"""Tries of a verification: whoever did not expect the first has half an hour."""


class Endpoint(NamedTuple):
    """An endpoint as its tenant sees it, without its secret. `generation` counts secrets; the one before signs until `old_until`."""

    id: str
    tenant: str
    url: str
    events: Sequence[str]
    kinds: Sequence[str]
    tags: Sequence[str]
    generation: int
    old_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_why: str | None
    created_at: datetime
    verified_at: datetime | None
    verification_failed: str | None


class Verification(NamedTuple):
    """What asks an endpoint to prove that it wants what is sent. `only_new`: unless its URL is neither new nor to be verified already."""

    body: bytes
    only_new: bool = False


class DueDelivery(NamedTuple):
    """A delivery that this process has taken: `tries` counts this one, and is the right to say what came of it."""

    id: str
    endpoint: str
    url: str
    generation: int
    two_secrets: bool
    event: str
    body: bytes
    tries: int


class Answer(NamedTuple):
    """What came of a try: the status, unless none came; in words; how the answer began; how long to wait, if it says so;
    what it answered a challenge with; and whether that was wrong.
    """

    status: int | None
    outcome: str
    body: bytes = b""
    retry_after_s: float = 0.0
    challenge_response: bytes = b""
    unproved: bool = False

    @property
    def delivered(self) -> bool:
        """True if the endpoint has taken it."""
        return self.status is not None and 200 <= self.status < 300 and not self.unproved

    def judge_challenge(self, challenge: str) -> Answer:
        """Return the answer as one that was not taken, unless the endpoint has sent the challenge back."""
        if not self.delivered or hmac.compare_digest(self.challenge_response, challenge.encode()):
            return self
        what = f"another {CHALLENGE_RESPONSE}" if self.challenge_response else f"no {CHALLENGE_RESPONSE}"
        return self._replace(unproved=True, outcome=f"answered {self.status} with {what}")


class Try(NamedTuple):
    """A delivery as its tenant sees it: how often it was tried, and what came of the last try."""

    id: str
    job_id: str | None
    event: str
    state: str
    tries: int
    created_at: datetime
    tried_at: datetime | None
    due: datetime | None
    status: int | None
    outcome: str | None
    answer: bytes | None


def make_secret(pepper: str, endpoint_id: str, generation: int) -> bytes:
    """Make the secret of an endpoint: it is stored nowhere, and follows from what is, together with the pepper."""
    about = f"webhook {endpoint_id} {generation}".encode()
    return hmac.digest(pepper.encode(), about, "sha256")


def show_secret(secret: bytes) -> str:
    """Write a secret as Standard Webhooks do."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def sign(secrets: Sequence[bytes], delivery_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery that is sent at this time, in seconds since the epoch: a signature by each secret."""
    content = b"%b.%d.%b" % (delivery_id.encode(), at, body)
    signatures = [base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def write_body(job: Job) -> bytes:
    """Write what is told of a job that has ended: its document without its result. What is too long is left out of its error."""
    body = _wrap(f"job.{job.state}", job.finished_at, render_item(job))
    if len(body) <= LARGEST_BODY:
        return body
    return _wrap(f"job.{job.state}", job.finished_at, render_item(job._replace(error=_cut_error(job.error))))


def write_test(at: datetime) -> bytes:
    """Write what is told to try an endpoint."""
    return _wrap(TEST, at, b"{}")


def write_verification(at: datetime) -> bytes:
    """Write what is told to an endpoint that is to prove itself."""
    return _wrap(VERIFY, at, b"{}")


def _wrap(event: str, at: datetime | None, data: bytes) -> bytes:
    head = orjson.dumps({"type": event, "timestamp": at}, option=orjson.OPT_UTC_Z)
    return b'%b,"data":%b}' % (head[:-1], data)


def _cut_error(error: bytes | None) -> bytes:
    """Return the error without its words, of which there may be any number."""
    known: dict[str, Any] = orjson.loads(error or b"{}")
    short = {name: value for name, value in known.items() if len(str(value)) <= 256}
    return orjson.dumps(short | {"detail": ""})


def pause_s(
    tries: int, retry_after_s: float, jitter: float, most_tries: int = len(PAUSES_S) + 1
) -> float | None:
    """Return the seconds until the next try after so many; None: there is none. `jitter` is from 0.8 to 1.2."""
    if tries >= most_tries:
        return None
    return min(max(PAUSES_S[tries - 1] * jitter, retry_after_s), LONGEST_PAUSE_S * 1.2)
