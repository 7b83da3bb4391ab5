"""For those who are called: whether a webhook is genuine, and what it tells."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sluice.client.documents import JobDocument, read_job, read_object
from sluice.client.errors import BadAnswer
from sluice.errors import SluiceError

TOLERANCE_S = 300.0


class WebhookRefused(SluiceError):
    """The request is not a genuine webhook, or is too old."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What a webhook tells. `id` is the same at every try of one delivery; `job` is None for `webhook.test`."""

    id: str
    type: str
    timestamp: datetime
    job: JobDocument | None
    raw: Mapping[str, Any] = field(repr=False)


def verify(
    headers: Mapping[str, str],
    body: bytes | str,
    secrets: str | Iterable[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> WebhookEvent:
    """Check a request by any of these secrets (`whsec_…`), and return what it tells.

    `body` is as it came, before it is parsed. `tolerance_s` is how far the time of sending may be from `now`, in seconds since
    1970. Raises WebhookRefused, and ValueError for a secret that is none.
    """
    names = {name.lower(): value for name, value in headers.items()}
    try:
        id, sent_at, signatures = (names[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise WebhookRefused(f"The request has no {missing.args[0]}.") from None
    raw = _bytes(body) if isinstance(body, str) else bytes(body)
    if not _is_signed(_bytes(f"{id}.{sent_at}.") + raw, signatures, secrets):
        raise WebhookRefused("No signature is by one of the secrets.")
    if not sent_at.isascii() or not sent_at.isdigit() or len(sent_at) > 12:
        raise WebhookRefused("webhook-timestamp is no time.")
    if not abs((time.time() if now is None else now) - int(sent_at)) <= tolerance_s:
        raise WebhookRefused("The request is too old, or from the future.")
    return _read(id, raw)


def _is_signed(content: bytes, signatures: str, secrets: str | Iterable[str]) -> bool:
    given = [_bytes(each[3:]) for each in signatures.split(" ") if each.startswith("v1,")]
    keys = [_key(each) for each in ([secrets] if isinstance(secrets, str) else secrets)]
    wanted = [base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys]
    return any(hmac.compare_digest(one, other) for one in given for other in wanted)


def _bytes(text: str) -> bytes:
    """Return the bytes of a text, whatever a framework has made of bytes that were none."""
    return text.encode("utf-8", "surrogatepass")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a secret of a webhook is whsec_ and base64")
    return key


def _read(id: str, body: bytes) -> WebhookEvent:
    try:
        value = read_object(json.loads(body), type=str, timestamp=str, data=dict)
        job = read_job(value["data"]) if value["data"] else None
        return WebhookEvent(id, value["type"], datetime.fromisoformat(value["timestamp"]), job, value)
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, BadAnswer) as error:
        raise WebhookRefused(f"The body cannot be read: {error}") from None
