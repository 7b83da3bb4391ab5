"""Routes for the catalogue: which kinds there are, what they take and what they return."""

from __future__ import annotations

from inspect import getdoc
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import Response

from api.http.asgi import Header
from api.http.dependencies import Prefix, check_caller, provided
from api.http.errors import KindMissing
from api.http.openapi import name_of, problems
from api.http.response import ReplyResponse, json_reply
from api.kinds.schemas import KindDocument, KindList
from sluice.core.count_lanes import CountLanes
from sluice.core.queue_stats import Statistics
from sluice.core.registry import Registry
from sluice.handler import AnyHandler
from sluice.kind_schemas import input_schema, output_schema

MINUTE: Header = (b"cache-control", b"private, max-age=60")

router = APIRouter(tags=["kinds"], dependencies=[Depends(check_caller)], generate_unique_id_function=name_of)
Kinds = Annotated[Registry[AnyHandler], provided(Registry)]
Counts = Annotated[CountLanes, provided(CountLanes)]


@router.get(
    "/v1/kinds",
    summary="List the kinds",
    response_model=KindList,
    response_description="The catalogue",
    responses=problems(401, 403),
)
async def list_kinds(registry: Kinds, counts: Counts, prefix: Prefix) -> Response:
    """Lists every kind of work this API takes."""
    return _show({"kinds": [describe(registry[kind], counts.newest(), prefix) for kind in registry]})


@router.get(
    "/v1/kinds/{kind}",
    summary="Show one kind",
    response_model=KindDocument,
    response_description="The kind",
    responses=problems(401, 403, 404),
)
async def show_kind(kind: str, registry: Kinds, counts: Counts, prefix: Prefix) -> Response:
    """Shows the schemas and limits of one kind, and how long it takes."""
    if kind not in registry:
        raise KindMissing(kind)
    return _show(describe(registry[kind], counts.newest(), prefix))


def describe(handler: AnyHandler, lanes: Statistics, prefix: str = "") -> dict[str, Any]:
    """Describe a kind as the catalogue shows it, with links that begin with this prefix."""
    lane = lanes.get(handler.lane)
    times = lane and lane.kinds.get(handler.kind)
    path = f"{prefix}/v1/kinds/{handler.kind}"
    return {
        "kind": handler.kind,
        "description": getdoc(handler.function) or "",
        "lane": handler.lane,
        "lanes": handler.lanes,
        "runs_in": handler.runs_in,
        "timeout_s": handler.timeout_s,
        "max_attempts": handler.retry.max_attempts,
        "cache_s": handler.cache_s,
        "max_input": handler.max_input,
        "version": handler.version,
        "searchable": handler.searchable,
        "input": input_schema(handler.input_model),
        "output": output_schema(handler.output_model),
        "times": times and times.model_dump(),
        "links": {"self": path, "submit": f"{path}/jobs"},
    }


def _show(value: Any) -> Response:
    return ReplyResponse(json_reply(200, orjson.dumps(value), MINUTE))
