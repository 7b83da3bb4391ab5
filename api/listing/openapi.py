"""How the OpenAPI document describes what is about many jobs."""

from __future__ import annotations

from typing import Any

from api.http.openapi import _REF, _TIMING, Json, _answers
from api.listing.filters import MOST, USUAL, JobFilter

_ABOUT_STATE = "State; give it several times for any of several"


def _one(description: str, schema: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": {"$ref": _REF + schema}}}}


def _parameter(name: str, schema: Any, description: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _filters() -> list[Json]:
    """The fields of the filter as parameters of a query."""
    schema = JobFilter.model_json_schema()
    states = {"type": "array", "items": schema["$defs"]["JobState"]}
    found = [_parameter("state", states, _ABOUT_STATE)]
    for name, field in schema["properties"].items():
        if name != "state":
            (plain,) = (each for each in field["anyOf"] if each != {"type": "null"})
            found.append(_parameter(name, plain, field.get("description", "Of this kind")))
    return found


_PAGES = [
    _parameter("page_size", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}, "Jobs of a page"),
    _parameter("page_token", {"type": "string"}, "`next_page_token` of the page before, with the same filter"),
]  # fmt: skip
_BULK = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": _REF + "BulkRequest"}}},
    }
}

LIST: Json = {
    "summary": "List jobs",
    "tags": ["jobs"],
    "openapi_extra": {"parameters": [*_filters(), *_PAGES, _TIMING]},
    **_answers({200: _one("A page", "JobList")}, 401, 403, 422, 503),
}
CANCEL_MANY: Json = {
    "summary": "Cancel jobs by filter",
    "tags": ["jobs"],
    "status_code": 202,
    "openapi_extra": _BULK,
    **_answers({202: _one("What was or would be cancelled", "BulkAnswer")}, 400, 401, 403, 408, 413, 415, 422, 503),
}  # fmt: skip
RETRY_MANY: Json = {
    "summary": "Try failed jobs again by filter",
    "tags": ["jobs"],
    "status_code": 202,
    "openapi_extra": _BULK,
    **_answers({202: _one("What was or would be tried again", "BulkAnswer")}, 400, 401, 403, 408, 413, 415, 422, 503),
}  # fmt: skip
ERRORS: Json = {
    "summary": "Group failed jobs by error",
    "tags": ["jobs"],
    **_answers({200: _one("The groups", "ErrorList")}, 401, 403, 503),
}
