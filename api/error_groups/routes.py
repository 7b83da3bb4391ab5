"""Routes for groups of failures: list them, resolve, ignore or open one again."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.error_groups.error_groups import ErrorGroups
from api.error_groups.schemas import ErrorGroup as GroupDocument
from api.error_groups.schemas import ErrorList, ErrorQuery
from api.http.dependencies import By, Caller, provided
from api.http.openapi import name_of, problems
from api.http.request import refuse_unknown
from api.http.response import ReplyResponse, json_reply
from sluice.core.listing import ErrorGroup, ErrorMark

DETAIL = 256
"""Characters of an error's detail that its group shows."""
ONE = "/v1/errors/{fingerprint}"

router = APIRouter(tags=["errors"], generate_unique_id_function=name_of)
Groups = Annotated[ErrorGroups, provided(ErrorGroups)]
MARKED: dict[str, Any] = {
    "response_model": GroupDocument,
    "response_description": "The group as it is now",
    "responses": problems(401, 403, 404, 503),
}


async def check_query(request: Request, _: Caller) -> None:
    """Refuse parameters that this list does not have, or that come twice."""
    refuse_unknown(request, ErrorQuery)


@router.get(
    "/v1/errors",
    summary="Group failed jobs by error",
    response_model=ErrorList,
    response_description="The groups",
    responses=problems(401, 403, 422, 503),
    dependencies=[Depends(check_query)],
)
async def list_errors(query: Annotated[ErrorQuery, Query()], caller: Caller, groups: Groups) -> Response:
    """Groups the newest failures of the last seven days, at most 1,000, by kind and error fingerprint."""
    found = await groups.find(caller.tenant)
    wanted = [each for each in found.groups if query.state in (None, each.state)]
    return _reply({"errors": list(map(_show, wanted)), "failures": found.failures, "more": found.more})


@router.post(f"{ONE}/resolve", summary="Resolve an error", **MARKED)
async def resolve_error(fingerprint: str, caller: Caller, by: By, groups: Groups) -> Response:
    """Takes the cause for mended: the next failure with this fingerprint opens the group again, and says since which version."""
    return _reply(_show(await groups.mark(caller.tenant, fingerprint, ErrorMark.RESOLVED, by)))


@router.post(f"{ONE}/ignore", summary="Ignore an error", **MARKED)
async def ignore_error(fingerprint: str, caller: Caller, by: By, groups: Groups) -> Response:
    """Keeps the group out of the way, whatever fails, until it is opened again."""
    return _reply(_show(await groups.mark(caller.tenant, fingerprint, ErrorMark.IGNORED, by)))


@router.post(f"{ONE}/reopen", summary="Open an error again", **MARKED)
async def reopen_error(fingerprint: str, caller: Caller, by: By, groups: Groups) -> Response:
    """Forgets that it was resolved or ignored."""
    return _reply(_show(await groups.mark(caller.tenant, fingerprint, None, by)))


def _reply(shown: Any) -> Response:
    return ReplyResponse(json_reply(200, orjson.dumps(shown, option=orjson.OPT_UTC_Z)))


def _show(group: ErrorGroup) -> dict[str, Any]:
    error = orjson.loads(group.error or b"{}")
    is_back = group.mark == ErrorMark.RESOLVED and group.back_at
    return {
        "fingerprint": group.fingerprint,
        "kind": group.kind,
        "type": error.get("type", ""),
        "title": error.get("title", ""),
        "detail": error.get("detail", "")[:DETAIL],
        "state": group.state,
        "count": group.failures,
        "first_at": group.oldest,
        "newest_at": group.newest,
        "hours": [{"hour": hour, "count": count} for hour, count in sorted(Counter(group.hours).items())],
        "marked_at": group.marked_at,
        "back": {"at": group.back_at, "version": group.back_version} if is_back else None,
        "example": group.example,
    }
