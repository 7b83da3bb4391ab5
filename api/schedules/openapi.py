"""The OpenAPI document: the routes of schedules."""

from __future__ import annotations

from typing import Any

from api.http.openapi import Json, operation

_REF = "#/components/schemas/"
_BODY: Json = {"content": {"application/json": {"schema": {"$ref": f"{_REF}ScheduleBody"}}}, "required": True}
_PAGES = [
    {
        "name": "page_size",
        "in": "query",
        "description": "At most so many",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100},
    },
    {
        "name": "page_token",
        "in": "query",
        "description": "`next_page_token` of the page before",
        "schema": {"type": "string"},
    },
]


def _answer(description: str, schema: str = "ScheduleDocument") -> Json:
    content = {"application/json": {"schema": {"$ref": _REF + schema}}}
    return {"description": description, "content": content}


def _of_schedules(summary: str, answers: dict[int, Json], *statuses: int, **more: Any) -> Json:
    return operation(summary, "schedules", answers, *statuses, **more)


LIST = _of_schedules(
    "List the schedules",
    {200: _answer("By name, without inputs", "ScheduleList")},
    401, 403, 422, 503,
    openapi_extra={"parameters": _PAGES},
)  # fmt: skip
CREATE = _of_schedules(
    "Make a schedule",
    {201: _answer("Made")},
    400, 401, 403, 408, 409, 413, 415, 422, 503,
    status_code=201, openapi_extra={"requestBody": _BODY},
)  # fmt: skip
SHOW = _of_schedules("Show a schedule", {200: _answer("The schedule")}, 401, 403, 404, 503)
REPLACE = _of_schedules(
    "Make or replace a schedule",
    {200: _answer("Replaced"), 201: _answer("Made")},
    400, 401, 403, 408, 413, 415, 422, 503,
    openapi_extra={"requestBody": _BODY},
)  # fmt: skip
DELETE = _of_schedules(
    "Delete a schedule", {204: {"description": "Deleted; its jobs stay"}}, 401, 403, 404, 503, status_code=204
)
PAUSE = _of_schedules("Pause a schedule", {200: _answer("Paused")}, 401, 403, 404, 503)
RESUME = _of_schedules("Resume a schedule", {200: _answer("It fires again")}, 401, 403, 404, 422, 503)
RUN = _of_schedules(
    "Run a schedule now",
    {200: _answer("Finished already", "JobDocument"), 202: _answer("Its job", "JobDocument")},
    401, 403, 404, 503,
    status_code=202,
)  # fmt: skip
