"""Read the body of a submit, or answer it unread if the same bytes were answered before. No body outlives its reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from api.http.schemas import validate
from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.make_job import DEFAULTS, SubmitRequest
from api.jobs.prepared_job import LARGE, PreparedJob
from api.jobs.result_reuse import digest_of
from api.jobs.schemas import SubmitOptions
from api.jobs.submit import Submission
from api.jobs.submit_result import SubmitResult
from sluice.core.errors import Flaw, Invalid
from sluice.core.strict_json import Raw, parse

ReadBody = Callable[[Raw], tuple[SubmitRequest, IdempotencyKey | None]]
"""Reads what a body asks for, and hashes it if it came with a key."""


async def submit_body(
    submission: Submission,
    tenant: str,
    body: bytes,
    traceparent: str | None,
    scopes: frozenset[str] = frozenset(),
) -> SubmitResult:
    """Submit a body of POST /v1/jobs that came without an Idempotency-Key. Raises Malformed, and what `submit` raises.

    The bytes that asked for a result before are not even parsed while process memory has that result.
    """
    digest = digest_of(body)
    repeated = submission.find_by_body(tenant, digest)
    if repeated is not None:
        return repeated
    prepared = submission.prepare(tenant, read_submit(body, scopes), traceparent, digest=digest)
    del body  # or it would be held until the job is in the record
    return await submission.take(prepared)


async def prepare_body(
    submission: Submission, tenant: str, body: Raw, read: ReadBody, traceparent: str | None
) -> PreparedJob:
    """Prepare the job that a body asks for; of large bodies one at a time, in a thread. Raises what it is done with raises."""
    if len(body) <= LARGE:
        work, key = read(body)
        return submission.prepare(tenant, work, traceparent, key)
    async with submission.one_large:
        work, key = await asyncio.to_thread(read, body)
        del body  # or it would be held until its input is checked
        if submission.runs_python(work.kind):
            return submission.prepare(tenant, work, traceparent, key)
        return await asyncio.to_thread(submission.prepare, tenant, work, traceparent, key)


def read_submit(body: Raw, scopes: frozenset[str] = frozenset()) -> SubmitRequest:
    """Read the body of POST /v1/jobs, sent by a key with these scopes. Raises Malformed, Invalid."""
    return read_request(parse(body), scopes)


def read_request(value: Any, scopes: frozenset[str] = frozenset()) -> SubmitRequest:
    """Read what a value of JSON asks for, sent by a key with these scopes. Raises Invalid."""
    if type(value) is not dict:
        raise _invalid("", "object", "A submit is an object with `kind` and `input`.")
    unknown = value.keys() - {"kind", "input", "options"}
    if unknown:
        raise _invalid(
            f"/{min(unknown)[:64]}", "unknown-field", "There is no such field; `options` holds the options."
        )
    for name in ("kind", "input"):
        if name not in value:
            raise _invalid(f"/{name}", "missing", f"`{name}` is required.")
    if type(value["kind"]) is not str:
        raise _invalid("/kind", "string", "`kind` is a string; GET /v1/kinds lists them.")
    options = validate(SubmitOptions, value["options"], "/options") if "options" in value else DEFAULTS
    return SubmitRequest(value["kind"], value["input"], options, scopes=scopes)


def read_bare(kind: str, body: Raw) -> SubmitRequest:
    """Read the body of POST /v1/kinds/{kind}/jobs: the input alone. Raises Malformed."""
    return SubmitRequest(kind, parse(body), pointer="")


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid([Flaw(pointer, code, detail)])
