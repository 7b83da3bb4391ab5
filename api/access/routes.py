"""Routes for API keys, list, make, rotate, revoke, and for what was done."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access.audit import Audit, show_entry
from api.access.key_admin import KeyAdmin, MadeKey
from api.access.schemas import (
    AuditList,
    AuditQuery,
    KeyDocument,
    KeyList,
    KeyRequest,
    NewKeyDocument,
    PageQuery,
    RevokeQuery,
    RotatedKeyDocument,
    RotateRequest,
    read_key_request,
    read_rotation,
)
from api.http.dependencies import By, Caller, SmallJsonBody, provided
from api.http.openapi import name_of, problems, takes
from api.http.request import refuse_unknown
from api.http.response import ReplyResponse, json_reply, no_content
from sluice.core.access import ListedKey

PATH = "/v1/keys"
ONE = PATH + "/{key_id}"

router = APIRouter(tags=["keys"], generate_unique_id_function=name_of)
Keys = Annotated[KeyAdmin, provided(KeyAdmin)]
Entries = Annotated[Audit, provided(Audit)]


async def check_page_query(request: Request, _: Caller) -> None:
    """Refuse parameters that the list of keys does not have, or that come twice."""
    refuse_unknown(request, PageQuery)


async def check_audit_query(request: Request, _: Caller) -> None:
    """Refuse parameters that the list of what was done does not have, or that come twice."""
    refuse_unknown(request, AuditQuery)


async def check_revoke_query(request: Request, _: Caller) -> None:
    """Refuse a misspelt word: it is there so that nothing is done by accident."""
    refuse_unknown(request, RevokeQuery)


@router.get(
    PATH,
    summary="List the API keys",
    response_model=KeyList,
    response_description="Newest first, without secrets",
    responses=problems(401, 403, 422, 503),
    dependencies=[Depends(check_page_query)],
)
async def list_keys(query: Annotated[PageQuery, Query()], caller: Caller, keys: Keys) -> Response:
    """Lists the keys of the tenant page by page, also those that were revoked or have expired."""
    found, more = await keys.page(caller.tenant, query.page_size, query.page_token)
    shown = {"keys": list(map(_show, found)), "next_page_token": found[-1].key_id if more else None}
    return _reply(200, shown)


@router.post(
    PATH,
    summary="Make an API key",
    status_code=201,
    response_model=NewKeyDocument,
    response_description="Made; the key is not shown again",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
    openapi_extra=takes(KeyRequest),
)
async def create_key(body: SmallJsonBody, caller: Caller, keys: Keys, by: By) -> Response:
    """Answers 201 with the key, this once. It permits nothing that the key of the request does not."""
    return _reply(201, _show_made(await keys.create(caller, read_key_request(body), by)))


@router.post(
    f"{ONE}/rotate",
    summary="Replace an API key",
    status_code=201,
    response_model=RotatedKeyDocument,
    response_description="The new key, which is not shown again",
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
    openapi_extra=takes(RotateRequest),
)
async def rotate_key(key_id: str, body: SmallJsonBody, caller: Caller, keys: Keys, by: By) -> Response:
    """Answers 201 with a new key of the same name, scopes and lifetime; the old one stays good for `overlap_s`."""
    made = await keys.rotate(caller, key_id, read_rotation(body).overlap_s, by)
    return _reply(201, _show_made(made) | {"replaces": key_id, "old_ends_at": made.old_ends_at})


@router.delete(
    ONE,
    summary="Revoke an API key",
    status_code=204,
    response_model=None,
    response_description="Revoked: every process refuses it within a minute",
    responses=problems(401, 403, 404, 409, 422, 503),
    dependencies=[Depends(check_revoke_query)],
)
async def revoke_key(
    key_id: str, query: Annotated[RevokeQuery, Query()], caller: Caller, keys: Keys, by: By
) -> Response:
    """Answers 204, also for one that was revoked before; 409 for the last good key with the scope `admin`, without `last=true`."""
    await keys.revoke(caller.tenant, key_id, by, even_last=query.last == "true")
    return ReplyResponse(no_content())


@router.get(
    "/v1/audit",
    summary="List what was done",
    response_model=AuditList,
    response_description="Newest first",
    responses=problems(401, 403, 422, 503),
    dependencies=[Depends(check_audit_query)],
)
async def list_audit(query: Annotated[AuditQuery, Query()], caller: Caller, audit: Entries) -> Response:
    """Lists who did what with keys, schedules and lanes, who changed many jobs at once, and which jobs administrators deleted."""
    found, token = await audit.page(caller.tenant, query.page_size, query.page_token)
    return _reply(200, {"entries": list(map(show_entry, found)), "next_page_token": token})


def _show(key: ListedKey) -> dict[str, Any]:
    shown = {"id": key.key_id} | key._asdict()
    return {name: shown[name] for name in KeyDocument.model_fields}


def _show_made(made: MadeKey) -> dict[str, Any]:
    return _show(made.listed) | {"key": made.text}


def _reply(status: int, value: Any) -> Response:
    return ReplyResponse(json_reply(status, orjson.dumps(value, option=orjson.OPT_UTC_Z)))
