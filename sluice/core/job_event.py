"""What other programs hear of a job: a CloudEvent in binary mode, as it goes to RabbitMQ.

Its headers are made by hand: there are a dozen, and the SDK is there for tests alone.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from sluice.core.job import Job, JobState

EXCHANGE = "sluice.events"
SOURCE = "/v1/jobs"
CONTENT_TYPE = "application/json"
PREFIX = "cloudEvents_"
"""Before the name of each attribute: RabbitMQ hands these headers to AMQP 1.0 as the properties that its binding asks for."""

LONGEST_WORD = 112
"""Bytes of a tenant and of a kind in a routing key, which has 255 at most."""
_OPTIONS = orjson.OPT_UTC_Z
_DIGEST = 16
_SHOWN = ("type", "retryable", "fingerprint")


class JobEvent(NamedTuple):
    """One event, ready to send. `id` is the same whenever the same change is told, so that whoever receives it twice can tell."""

    id: str
    routing_key: str
    headers: dict[str, str | int]
    body: bytes


def describe(job: Job) -> JobEvent:
    """Make the event that says that the job is now as it is."""
    event_id = f"{job.id}.{job.version}"
    key = routing_key(job.state, job.tenant, job.kind)
    return JobEvent(event_id, key, _headers(job, event_id), _body(job))


def routing_key(state: str, tenant: str, kind: str) -> str:
    """Make `job.<state>.<tenant>.<kind>`: the kind has dots, the tenant is one word whatever it holds."""
    return f"job.{state}.{_shorten(_encode(tenant).replace('.', '%2E'))}.{_shorten(_encode(kind))}"


def _encode(name: str) -> str:
    """Write anything else than letters, digits, `_`, `.`, `-` and `~` in hexadecimal digits, as addresses do."""
    return quote(name, safe="")


def _shorten(word: str) -> str:
    """Keep the beginning of what is too long, and a hash of the whole."""
    if len(word) <= LONGEST_WORD:
        return word
    return f"{word[: LONGEST_WORD - _DIGEST - 1]}~{sha256(word.encode()).hexdigest()[:_DIGEST]}"


def _headers(job: Job, event_id: str) -> dict[str, str | int]:
    attributes: dict[str, str | int | None] = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": f"dev.sluice.job.{job.state}.v1",
        "subject": job.id,
        "time": _changed_at(job),
        "tenant": job.tenant,
        "kind": job.kind,
        "lane": job.lane,
        "attempt": job.attempt,
        "sequence": f"{job.version:010}",  # in the order of its text, as the extension has it
        "traceparent": job.traceparent,
    }
    return {f"{PREFIX}{name}": value for name, value in attributes.items() if value is not None}


def _changed_at(job: Job) -> str | None:
    """Say when it came to be so, as far as the job tells."""
    at = {
        JobState.QUEUED: job.queued_at,
        JobState.RUNNING: job.cancel_requested_at or job.started_at,
        JobState.SCHEDULED: None,
    }.get(JobState(job.state), job.finished_at)
    return None if at is None else orjson.dumps(at, option=_OPTIONS).decode().strip('"')


def _body(job: Job) -> bytes:
    own = f"/v1/jobs/{job.id}"
    fields = {
        "id": job.id,
        "tenant": job.tenant,
        "kind": job.kind,
        "state": job.state,
        "version": job.version,
        "lane": job.lane,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "run_at": job.run_at,
        "cancel_requested_at": job.cancel_requested_at,
        "retry_of": job.retry_of,
        "error": _error(job),
        "links": {"self": own, "result": f"{own}/result"},
    }
    return orjson.dumps(fields, option=_OPTIONS)


def _error(job: Job) -> dict[str, Any] | None:
    """Say what kind of failure it was; its title and detail may quote the input."""
    if job.state != JobState.FAILED or job.error is None:
        return None
    error = orjson.loads(job.error)
    return {name: error.get(name) for name in _SHOWN}
