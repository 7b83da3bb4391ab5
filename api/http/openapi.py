"""The OpenAPI document: what FastAPI knows of the routes, and each kind's real input and output."""

from __future__ import annotations

from copy import deepcopy
from inspect import getdoc
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.http.schemas import (
    AttemptList,
    BulkAnswer,
    ErrorList,
    JobDocument,
    JobList,
    KindDocument,
    Problem,
    SubmitOptions,
)
from api.listing.filters import BulkRequest
from api.schedules.schemas import ScheduleBody, ScheduleList
from sluice import __version__
from sluice.core.registry import Registry
from sluice.handler import AnyHandler

Json = dict[str, Any]
Answers = dict[int, Json]

TITLE = "Sluice"
ABOUT = """Heavy functions as an API that stays fast: submit a job, look it up, take its result.

Every request under `/v1` needs `Authorization: Bearer slc_…`. Errors are problem documents (RFC 9457).
"""

_REF = "#/components/schemas/"
_TAKEN = (BulkRequest, ScheduleBody, SubmitOptions)
_SHOWN = (AttemptList, BulkAnswer, ErrorList, JobDocument, JobList, KindDocument, Problem, ScheduleList)
_PROBLEMS = {
    400: "The body is not the JSON we take",
    401: "A valid key is needed",
    403: "The key lacks the scope",
    404: "There is no such job, kind or schedule",
    408: "The body did not arrive in time",
    409: "The job is not in a state for this, or the name is taken",
    410: "The job is not kept any more",
    413: "The body is too large",
    415: "The body has to be plain JSON",
    422: "The request does not fit; `errors` says where",
    503: "Too busy, or the record is away; see `Retry-After`",
}
_RETRY: Json = {
    "Retry-After": {"description": "Seconds until it is worth asking again", "schema": {"type": "integer"}}
}
_ETAG: Json = {"ETag": {"description": "Strong once finished, weak before", "schema": {"type": "string"}}}
_LOCATION: Json = {"Location": {"description": "Where the job is looked up", "schema": {"type": "string"}}}
_WAIT = {
    "name": "wait",
    "in": "query",
    "description": "Seconds to wait (at most 55 unless configured otherwise); `Prefer: wait=N` does the same",
    "schema": {"type": "number", "minimum": 0},
}
_TIMING = {
    "name": "timing",
    "in": "query",
    "description": "1: answer with `Server-Timing`",
    "schema": {"enum": [1]},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request answers with the same job",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag you have; 304 where it is still right",
    "schema": {"type": "string"},
}


def _problems(*statuses: int) -> Answers:
    content = {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in statuses}


def _answers(success: Answers, *statuses: int) -> Json:
    return {"responses": success | _problems(*statuses), "response_model": None}


def operation(summary: str, tag: str, success: Answers, *statuses: int, **more: Any) -> Json:
    """What a route says of itself: its answers where all is well, and the statuses of its problems."""
    return {"summary": summary, "tags": [tag], **_answers(success, *statuses), **more}


_JOB: Json = {"content": {"application/json": {"schema": {"$ref": _REF + "JobDocument"}}}}
_UNCHANGED: Answers = {304: {"description": "You have it already"}}
_FINISHED: Json = {"description": "Finished: the result is in it", "headers": _ETAG, **_JOB}
_ACCEPTED: Json = {"description": "Accepted, not finished", "headers": _LOCATION | _RETRY | _ETAG, **_JOB}

SUBMIT: Json = {
    "summary": "Submit a job",
    "tags": ["jobs"],
    "status_code": 202,
    "openapi_extra": {"parameters": [_WAIT, _TIMING, _IDEMPOTENCY_KEY]},
    **_answers({200: _FINISHED, 202: _ACCEPTED}, 400, 401, 403, 408, 410, 413, 415, 422, 503),
}
LOOK_UP: Json = {
    "summary": "Look up a job",
    "tags": ["jobs"],
    "openapi_extra": {"parameters": [_WAIT, _TIMING, _IF_NONE_MATCH]},
    **_answers(
        {200: {"description": "The job as it stands", "headers": _ETAG | _RETRY, **_JOB}} | _UNCHANGED,
        401, 403, 404, 410, 422, 503,
    ),
}  # fmt: skip
RESULT: Json = {
    "summary": "Take the output alone",
    "tags": ["jobs"],
    "openapi_extra": {"parameters": [_WAIT, _TIMING, _IF_NONE_MATCH]},
    **_answers(
        {200: {"description": "The output", "content": {"application/json": {}}}, 202: _ACCEPTED} | _UNCHANGED,
        401, 403, 404, 409, 410, 422, 503,
    ),
}  # fmt: skip
CANCEL: Json = {
    "summary": "Cancel a job",
    "tags": ["jobs"],
    **_answers(
        {200: {"description": "Cancelled, or as it had ended before", "headers": _ETAG, **_JOB},
         202: {"description": "It runs, and was asked to stop", "headers": _ETAG | _RETRY, **_JOB}},
        401, 403, 404, 410, 503,
    ),
}  # fmt: skip
RETRY: Json = {
    "summary": "Try a failed job again",
    "tags": ["jobs"],
    "status_code": 202,
    **_answers({200: _FINISHED, 202: _ACCEPTED}, 401, 403, 404, 409, 410, 503),
}
DELETE: Json = {
    "summary": "Forget a finished job",
    "tags": ["jobs"],
    "status_code": 204,
    **_answers({204: {"description": "Forgotten"}}, 401, 403, 404, 409, 410, 503),
}
ATTEMPTS: Json = {
    "summary": "List the attempts that did not succeed",
    "tags": ["jobs"],
    **_answers(
        {200: {"description": "In order; tracebacks with the scope `admin`",
               "content": {"application/json": {"schema": {"$ref": _REF + "AttemptList"}}}}},
        401, 403, 404, 410, 503,
    ),
}  # fmt: skip
_CATALOGUE: Json = {
    "type": "object",
    "properties": {"kinds": {"type": "array", "items": {"$ref": _REF + "KindDocument"}}},
}
KINDS: Json = {
    "summary": "List the kinds",
    "tags": ["kinds"],
    **_answers({200: {"description": "The catalogue", "content": {"application/json": {"schema": _CATALOGUE}}}}, 401, 403),
}  # fmt: skip
KIND: Json = {
    "summary": "Show one kind",
    "tags": ["kinds"],
    **_answers(
        {200: {"description": "The kind", "content": {"application/json": {"schema": {"$ref": _REF + "KindDocument"}}}}},
        401, 403, 404,
    ),
}  # fmt: skip


def describe(app: FastAPI, registry: Registry) -> Json:
    """The whole document."""
    document = get_openapi(title=TITLE, version=__version__, description=ABOUT, routes=app.routes)
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "slc_…"}}
    document["security"] = [{"key": []}]
    schemas = components["schemas"] = _schemas(registry)
    submit = document["paths"]["/v1/jobs"]["post"]
    submit["requestBody"] = _any_kind(registry, schemas)
    for kind in registry:
        document["paths"][f"/v1/kinds/{kind}/jobs"] = {"post": _one_kind(registry[kind], submit, schemas)}
    for path in document["paths"].values():
        for operation in path.values():
            _tidy(operation)
    return document


def _schemas(registry: Registry) -> Json:
    schemas: Json = {}
    for taken in _TAKEN:
        schemas |= _hoisted(taken, taken.__name__, "", "validation")
    for shown in _SHOWN:
        schemas |= _hoisted(shown, shown.__name__, "", "serialization")
    for kind in registry:
        handler = registry[kind]
        schemas |= _hoisted(handler.input_model, f"{kind}.input", f"{kind}.", "validation")
        schemas |= _hoisted(handler.output_model, f"{kind}.output", f"{kind}.", "serialization")
        schemas[f"{kind}.submit"] = _submit_schema(kind)
        schemas[f"{kind}.job"] = _job_schema(kind)
    return schemas


def _hoisted(model: type[BaseModel], name: str, prefix: str, mode: Any) -> Json:
    """The schema of a model under this name, and those it refers to beside it, none colliding between kinds."""
    schema = model.model_json_schema(ref_template=f"{_REF}{prefix}{{model}}", mode=mode)
    definitions = {prefix + key: value for key, value in schema.pop("$defs", {}).items()}
    return definitions | {name: schema}


def _submit_schema(kind: str) -> Json:
    return {
        "type": "object",
        "title": f"Submit {kind}",
        "required": ["kind", "input"],
        "additionalProperties": False,
        "properties": {
            "kind": {"const": kind, "type": "string"},
            "input": {"$ref": f"{_REF}{kind}.input"},
            "options": {"$ref": f"{_REF}SubmitOptions"},
        },
    }


def _job_schema(kind: str) -> Json:
    result = {"anyOf": [{"$ref": f"{_REF}{kind}.output"}, {"type": "null"}]}
    narrowed = {"type": "object", "properties": {"kind": {"const": kind}, "result": result}}
    return {"title": f"Job {kind}", "allOf": [{"$ref": f"{_REF}JobDocument"}, narrowed]}


def _any_kind(registry: Registry, schemas: Json) -> Json:
    """The body of POST /v1/jobs: one of the kinds, told apart by `kind`."""
    refs = {kind: f"{_REF}{kind}.submit" for kind in registry}
    schema = {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "kind", "mapping": refs},
    }
    examples = {
        kind: {"value": {"kind": kind, "input": example}}
        for kind in registry
        if (example := example_of(schemas[f"{kind}.input"])) is not None
    }
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _one_kind(handler: AnyHandler, submit: Json, schemas: Json) -> Json:
    """The operation that submits to one kind by its path."""
    operation = deepcopy(submit)
    text = getdoc(handler.function) or f"Submit {handler.kind}."
    operation |= {"summary": text.split("\n", 1)[0], "description": text, "tags": [handler.kind]}
    operation["operationId"] = f"submit_{handler.kind}"
    media: Json = {"schema": {"$ref": f"{_REF}{handler.kind}.input"}}
    example = example_of(schemas[f"{handler.kind}.input"])
    if example is not None:
        media["example"] = example
    operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    for status in ("200", "202"):
        schema = {"$ref": f"{_REF}{handler.kind}.job"}
        operation["responses"][status]["content"]["application/json"]["schema"] = schema
    return operation


def example_of(schema: Json) -> Any:
    """An input as its model's examples show it, or None where a required field shows none."""
    if schema.get("examples"):
        return schema["examples"][0]
    fields: Json = schema.get("properties", {})
    shown = {name: field["examples"][0] for name, field in fields.items() if field.get("examples")}
    return shown if set(schema.get("required", [])) <= shown.keys() else None


def _tidy(operation: Json) -> None:
    """Our problem documents stand where FastAPI would describe its own validation errors."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
