"""Read the body of a submit, or answer it unread if the same bytes were answered before."""

from __future__ import annotations

from api.http.schemas import validate
from api.jobs.schemas import SubmitOptions
from api.jobs.submit import DEFAULTS, Submission, SubmitRequest, SubmitResult
from sluice.core.errors import Flaw, Invalid
from sluice.core.strict_json import parse


async def submit_body(
    submission: Submission, tenant: str, body: bytes, traceparent: str | None
) -> SubmitResult:
    """Submit a body of POST /v1/jobs that came without a key. Raises Malformed, and what `submit` raises.

    The bytes that asked for a result before are not even parsed while process memory has that result.
    """
    repeated = submission.find_by_body(tenant, body)
    if repeated is not None:
        return repeated
    return await submission.submit(tenant, read_submit(body), traceparent, body=body)


def read_submit(body: bytes) -> SubmitRequest:
    """Read the body of POST /v1/jobs. Raises Malformed, Invalid."""
    value = parse(body)
    if type(value) is not dict:
        raise _invalid("", "object", "The body is an object with `kind` and `input`.")
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
    return SubmitRequest(value["kind"], value["input"], options)


def read_bare(kind: str, body: bytes) -> SubmitRequest:
    """Read the body of POST /v1/kinds/{kind}/jobs: the input alone. Raises Malformed."""
    return SubmitRequest(kind, parse(body), pointer="")


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid([Flaw(pointer, code, detail)])
