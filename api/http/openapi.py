"""Build the OpenAPI document: what FastAPI knows about the routes, and what it cannot know about some of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.http.schemas import Problem
from api.keys.api_key import ID_LENGTH
from sluice import __version__
from sluice.core.error_fingerprint import LENGTH
from sluice.core.schedule import NAME
from sluice.handler import KIND_NAME

Json = dict[str, Any]
Responses = dict[int | str, Json]

TITLE = "Sluice"
ABOUT = """Heavy functions as an API that stays fast: submit a job, look it up, take its result.

Every request under `/v1` needs `Authorization: Bearer slc_…`. Errors are problem documents (RFC 9457). `X-Request-Id` (1 to
64 of `A-Z a-z 0-9 . _ -`) and `traceparent` may be sent with every request.
"""
REF = "#/components/schemas/"

_PROBLEMS = {
    400: "The request is not HTTP as it is taken, a header has a wrong form, or the body is not the JSON we take",
    401: "A valid key is needed",
    403: "The key lacks the scope",
    404: "There is no such job, batch, bulk act, kind, lane, schedule or key",
    408: "The body did not arrive in time",
    409: "The job or key is not in a state for this, or the name is taken",
    410: "The job is not kept any more",
    413: "The body is too large",
    415: "The body has to be plain JSON",
    422: "The request does not fit; `errors` says where",
    429: "The key, its tenant or its address sends more than is taken; `Retry-After` says when to ask again",
    431: "Target and headers are too large",
    503: "Too busy, or the record is away; see `Retry-After`",
}
_OF_ALL = (400, 429, 431, 503)
"""What any request may be answered with before it is known what it is for: 429 and 503 while its key is looked up."""

_VALIDATION_ERRORS = ("HTTPValidationError", "ValidationError")
_NULL = {"type": "null"}
_WAIT_AGAIN: Json = {
    "Retry-After": {
        "description": "Seconds until the same request may succeed",
        "schema": {"type": "integer", "minimum": 1},
    }
}
RATE: Json = {
    "RateLimit-Policy": {
        "description": "The key's limit, if there is one and the key is known: `q` units in `w` seconds",
        "schema": {"type": "string", "examples": ['"key";q=600;w=60']},
    },
    "RateLimit": {
        "description": "With it: `r` units are left, and all are there again after `t` seconds",
        "schema": {"type": "string", "examples": ['"key";r=599;t=1']},
    },
}
_SCHEME: Json = {
    "WWW-Authenticate": {"description": "`Bearer`, and what the key lacks", "schema": {"type": "string"}}
}
_PROBLEM_HEADERS: dict[int, Json] = {
    401: _SCHEME,
    403: _SCHEME,
    415: {
        "Accept": {"description": "The media type that is taken", "schema": {"type": "string"}},
        "Accept-Encoding": {"description": "The encoding that is taken", "schema": {"type": "string"}},
    },
    429: _WAIT_AGAIN | RATE,
    503: _WAIT_AGAIN | RATE,
}
_TIMING: Json = {
    "name": "timing",
    "in": "query",
    "description": "1: answer with `Server-Timing`",
    "schema": {"type": "string", "examples": ["1"]},
}
LOCATION: Json = {
    "Location": {
        "description": "Where what was made is looked up",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
_OF_ANY: Json = {
    "Server-Timing": {
        "description": "With `?timing=1`: where the time went, in milliseconds",
        "schema": {"type": "string", "examples": ["record;dur=1.20, total;dur=1.54"]},
    },
    "X-Request-Id": {
        "description": "Yours, or one that was made for this request",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
}
"""Headers of every answer."""
_PATHS: dict[str, Json] = {
    "job_id": {"type": "string", "format": "uuid"},
    "fingerprint": {"type": "string", "pattern": f"^[0-9a-f]{{{LENGTH}}}$"},
    "batch_id": {"type": "string", "format": "uuid"},
    "act_id": {"type": "string", "format": "uuid"},
    "webhook_id": {"type": "string", "format": "uuid"},
    "kind": {"type": "string", "maxLength": 64, "pattern": f"^{KIND_NAME.pattern}$"},
    "lane": {"type": "string", "minLength": 1, "maxLength": 32, "pattern": "^\\w+$"},
    "key_id": {"type": "string", "pattern": f"^[A-Za-z0-9]{{{ID_LENGTH}}}$"},
    "name": {"type": "string", "maxLength": 55, "pattern": f"^{NAME}$"},
}
"""What the parts of paths look like. The routes take anything, and answer 404."""


def problems(*statuses: int) -> Responses:
    """Describe the problems that a route may answer with."""
    content = {"application/problem+json": {"schema": {"$ref": REF + Problem.__name__}}}
    return {
        status: {
            "description": _PROBLEMS[status],
            "headers": _PROBLEM_HEADERS.get(status, {}),
            "content": content,
        }
        for status in statuses
    }


def name_of(route: APIRoute) -> str:
    """Name an operation by its function, for programs that write clients."""
    return route.name


def takes(model: type[BaseModel]) -> Json:
    """Describe the JSON body of a route that checks it against this model itself, as `openapi_extra`."""
    schema = model.model_json_schema(ref_template=REF + "{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe(app: FastAPI, wait_cap_s: float) -> Json:
    """Make the document of all routes; `wait_cap_s` is the setting."""
    document = get_openapi(title=TITLE, version=__version__, description=ABOUT, routes=app.routes)
    components = document["components"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "slc_…"}}
    document["security"] = [{"key": []}]
    schemas = components["schemas"]
    for name in _VALIDATION_ERRORS:
        schemas.pop(name, None)
    schemas |= schemas_of(Problem)
    for route in app.routes:
        if isinstance(route, APIRoute):
            schemas |= _route_schemas(route)
    for schema in schemas.values():
        if (wait := schema.get("properties", {}).get("wait")) is not None:
            wait["maximum"] = wait_cap_s
    for operation in _operations(document):
        _tidy_problems(operation)
        _tidy_parameters(operation, wait_cap_s)
        operation["parameters"] = [*operation.get("parameters", ()), _TIMING]
        _tidy_body(operation)
        submits = any("RateLimit" in each.get("headers", ()) for each in _successes(operation))
        for answer in operation["responses"].values():
            answer["headers"] = answer.get("headers", {}) | (RATE if submits else {}) | _OF_ANY
    return document


def schemas_of(
    model: type[BaseModel], mode: Literal["validation", "serialization"] = "serialization"
) -> Json:
    """Make the schema of a model under its name, and the schemas it refers to."""
    schema = model.model_json_schema(ref_template=REF + "{model}", mode=mode)
    definitions: Json = schema.pop("$defs", {})
    return definitions | {model.__name__: schema}


def _route_schemas(route: APIRoute) -> Json:
    """Make the schemas of what a route takes and returns, including null defaults, which FastAPI leaves out."""
    schemas: Json = {}
    for model in (route.response_model, *(each.get("model") for each in route.responses.values())):
        if model is not None:
            schemas |= schemas_of(model)
    if route.openapi_extra and "requestBody" in route.openapi_extra:
        body = _body_media(route.openapi_extra)["schema"]
        schemas |= body.get("$defs", {})
        schemas[body["title"]] = {key: value for key, value in body.items() if key != "$defs"}
    return schemas


def _body_media(operation: Json) -> Json:
    media: Json = operation["requestBody"]["content"]["application/json"]
    return media


def _operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.values()


def _successes(operation: Json) -> Iterator[Json]:
    return (answer for status, answer in operation["responses"].items() if status < "300")


def _tidy_problems(operation: Json) -> None:
    """Drop FastAPI's own form of validation errors, as ours are problem documents, and add what any request may meet."""
    responses = operation["responses"]
    if _VALIDATION_ERRORS[0] in str(responses.get("422")):
        del responses["422"]
    for status, answer in problems(*_OF_ALL).items():
        responses.setdefault(str(status), answer)
    for answer in responses.values():
        if "application/problem+json" in answer.get("content", ()):
            answer["content"].pop("application/json", None)  # FastAPI lists a model under both


def _tidy_parameters(operation: Json, wait_cap_s: float) -> None:
    """Drop null from optional parameters, as a query cannot carry it, and add what only this module knows of some."""
    for parameter in operation.get("parameters", ()):
        choices = [each for each in parameter["schema"].get("anyOf", ()) if each != _NULL]
        if len(choices) == 1:
            beside = {
                name: each for name, each in parameter["schema"].items() if name in ("maxLength", "pattern")
            }
            parameter["schema"] = choices[0] | beside
        if parameter["name"] == "wait":
            parameter["schema"] = parameter["schema"] | {"maximum": wait_cap_s}
        elif parameter["in"] == "path":
            parameter["schema"] = parameter["schema"] | _PATHS[parameter["name"]]


def _tidy_body(operation: Json) -> None:
    """Replace the schema of a body by a reference to the components."""
    if "requestBody" in operation:
        media = _body_media(operation)
        media["schema"] = {"$ref": REF + media["schema"]["title"]}
