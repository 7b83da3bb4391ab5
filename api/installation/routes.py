"""Routes that show the installation to its operators."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.http.dependencies import Caller, provided
from api.http.openapi import name_of, problems
from api.http.request import refuse_unknown
from api.http.response import ReplyResponse, json_reply
from api.installation.installation import Installation, System
from api.installation.schemas import ConsumerList, ConsumersQuery, SystemDocument
from sluice import __version__
from sluice.core.installation import SeenConsumer

router = APIRouter(tags=["installation"], generate_unique_id_function=name_of)
Part = Annotated[Installation, provided(Installation)]


async def check_consumers_query(request: Request, _: Caller) -> None:
    """Refuse parameters that the list of consumers does not have, or that come twice."""
    refuse_unknown(request, ConsumersQuery)


@router.get(
    "/v1/consumers",
    summary="List the consumers",
    response_model=ConsumerList,
    response_description="By their leases",
    responses=problems(401, 403, 422, 503),
    dependencies=[Depends(check_consumers_query)],
)
async def list_consumers(
    query: Annotated[ConsumersQuery, Query()], _: Caller, installation: Part
) -> Response:
    """Lists the processes that run jobs, of all tenants, as each describes itself whenever it renews its lease."""
    found, token = await installation.consumers(query.page_size, query.page_token)
    return _reply({"consumers": list(map(show_consumer, found)), "next_page_token": token})


@router.get(
    "/v1/system",
    summary="Show the system",
    response_model=SystemDocument,
    response_description="As the process that answers sees it",
    responses=problems(401, 403, 503),
)
async def show_system(_: Caller, installation: Part) -> Response:
    """Shows releases, servers, the sizes of tables and all settings, secrets hidden; also while the record does not answer."""
    return _reply(_show_system(await installation.describe()))


def _show_system(system: System) -> dict[str, Any]:
    record = system.record
    return {
        "version": __version__,
        "servers": [each._asdict() for each in system.servers],
        "record": record
        and record._asdict()
        | {"tables": [{"name": name, "rows": rows, "bytes": size} for name, rows, size in record.tables]},
        "settings": [each._asdict() for each in system.settings],
    }


def show_consumer(consumer: SeenConsumer) -> dict[str, Any]:
    """Show a consumer as clients see it, ready for orjson."""
    works = consumer.works
    memory = [work.memory for work in works.values() if work.memory is not None]
    return {
        "id": consumer.id, "host": consumer.host, "pid": consumer.pid, "release": consumer.release,
        "alive": consumer.lives, "silent_s": round(consumer.silent_s, 3),
        "started_at": consumer.started_at, "seen_at": consumer.seen_at, "memory": max(memory, default=None),
        "lanes": [
            {
                "name": lane,
                "slots": works[lane].slots if lane in works else None,
                "running": works[lane].running if lane in works else None,
                "per_second": round(works[lane].per_second, 3) if lane in works else None,
            }
            for lane in consumer.lanes
        ],
    }  # fmt: skip


def _reply(value: Any) -> Response:
    return ReplyResponse(json_reply(200, orjson.dumps(value, option=orjson.OPT_UTC_Z)))
