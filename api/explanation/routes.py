"""The route that explains a job."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from api.explanation.explaining import Explaining
from api.explanation.schemas import ExplanationDocument
from api.http.dependencies import Caller, provided
from api.http.openapi import name_of, problems
from api.http.response import ReplyResponse, json_reply

router = APIRouter(tags=["jobs"], generate_unique_id_function=name_of)


@router.get(
    "/v1/jobs/{job_id}/explain",
    summary="Explain why a job is not done",
    response_model=ExplanationDocument,
    response_description="The reason, and what has happened so far",
    responses=problems(401, 403, 404, 410, 503),
)
async def explain_job(
    job_id: str, caller: Caller, explaining: Annotated[Explaining, provided(Explaining)]
) -> Response:
    """Says what the job waits for, and about how long."""
    found, told = await explaining.explain(caller.tenant, job_id)
    shown = {
        "job_id": found.job.id,
        "state": found.job.state,
        "reason": told.reason,
        "detail": told.detail,
        "position": told.position,
        "eta": told.eta and told.eta._asdict(),
        "timeline": [each._asdict() for each in told.timeline],
    }
    return ReplyResponse(json_reply(200, orjson.dumps(shown, option=orjson.OPT_UTC_Z)))
