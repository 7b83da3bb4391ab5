"""The route that shows how the promise is kept."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from api.http.dependencies import Caller, provided
from api.http.openapi import name_of, problems
from api.http.response import ReplyResponse, json_reply
from api.slo.schemas import SloDocument
from sluice.core.slo import LIMIT, OBJECTIVE, Measured, Slo

router = APIRouter(tags=["slo"], generate_unique_id_function=name_of)


@router.get(
    "/v1/slo",
    summary="Show how the promise is kept",
    response_model=SloDocument,
    response_description="As this process has measured it",
    responses=problems(401, 403, 503),
)
async def show_slo(_: Caller, slo: Annotated[Slo, provided(Slo)]) -> Response:
    """Measures the process that answers: behind several, ask again, or ask Prometheus. Durations are estimated within buckets."""
    return ReplyResponse(json_reply(200, orjson.dumps(_show(slo.measured()))))


def _show(measured: Measured) -> dict[str, object]:
    return {
        "cached_reads": {
            "p95_ms": _rounded(measured.p95_s, 1_000),
            "at_rest_p95_ms": _rounded(measured.at_rest_p95_s, 1_000),
            "ratio": _rounded(measured.ratio),
            "limit": LIMIT,
        },
        "availability": {
            "ratio": _rounded(measured.availability, digits=6),
            "objective": OBJECTIVE,
            "budget_left": _rounded(measured.budget_left),
            "window_s": measured.window_s,
        },
        "shedding": measured.shedding,
    }


def _rounded(value: float | None, times: int = 1, digits: int = 3) -> float | None:
    return None if value is None else round(value * times, digits)
