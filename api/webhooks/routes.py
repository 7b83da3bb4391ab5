"""Routes for webhooks: register, list, show, replace, delete; test, verify, rotate, tries, redeliver."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.http.asgi import Header
from api.http.dependencies import By, Caller, SmallJsonBody, provided
from api.http.openapi import LOCATION, name_of, problems, takes
from api.http.request import refuse_unknown
from api.http.response import ReplyResponse, json_reply, no_content
from api.webhooks.schemas import (
    NewWebhookDocument,
    RedeliveredDocument,
    RedeliverRequest,
    RotateSecretRequest,
    SentDocument,
    TriesQuery,
    TryList,
    WebhookDocument,
    WebhookList,
    WebhookRequest,
    read_redelivery,
    read_secret_rotation,
    read_webhook_request,
)
from api.webhooks.webhooks import MadeWebhook, Webhooks
from sluice.core.webhook import Endpoint, Try

PATH = "/v1/webhooks"
ONE = PATH + "/{webhook_id}"

router = APIRouter(tags=["webhooks"], generate_unique_id_function=name_of)
Hooks = Annotated[Webhooks, provided(Webhooks)]


async def check_tries_query(request: Request, _: Caller) -> None:
    """Refuse parameters that the list does not have, or that come twice."""
    refuse_unknown(request, TriesQuery)


@router.get(
    PATH,
    summary="List the webhooks",
    response_model=WebhookList,
    response_description="Oldest first, without secrets",
    responses=problems(401, 403, 503),
)
async def list_webhooks(caller: Caller, hooks: Hooks) -> Response:
    """Lists the endpoints of the tenant, of which there are at most 100."""
    return _reply(200, {"webhooks": list(map(_show, await hooks.all(caller.tenant)))})


@router.post(
    PATH,
    summary="Register a webhook",
    status_code=201,
    response_model=NewWebhookDocument,
    response_description="Registered; the secret is not shown again",
    responses={201: {"headers": LOCATION}, **problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)},
    openapi_extra=takes(WebhookRequest),
)
async def create_webhook(body: SmallJsonBody, caller: Caller, hooks: Hooks, by: By) -> Response:
    """Answers 201 with the secret, this once. It is told of jobs that end from now on, or once it is verified."""
    made = await hooks.create(caller.tenant, read_webhook_request(body), by)
    shown = _show_made(made)
    return _reply(201, shown, [(b"location", f"{PATH}/{shown['id']}".encode())])


@router.get(
    ONE,
    summary="Show a webhook",
    response_model=WebhookDocument,
    response_description="Without its secret",
    responses=problems(401, 403, 404, 503),
)
async def show_webhook(webhook_id: str, caller: Caller, hooks: Hooks) -> Response:
    """Shows an endpoint, and whether what is sent to it arrives."""
    return _reply(200, _show(await hooks.find(caller.tenant, webhook_id)))


@router.put(
    ONE,
    summary="Replace a webhook",
    response_model=WebhookDocument,
    response_description="As it is now",
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=takes(WebhookRequest),
)
async def replace_webhook(
    webhook_id: str, body: SmallJsonBody, caller: Caller, hooks: Hooks, by: By
) -> Response:
    """Replaces all but its secret. One that was disabled goes on, unless it is to be verified."""
    read = partial(read_webhook_request, body)
    return _reply(200, _show(await hooks.replace(caller.tenant, webhook_id, read, by)))


@router.delete(
    ONE,
    summary="Delete a webhook",
    status_code=204,
    response_model=None,
    response_description="Deleted; what was to be sent is given up",
    responses=problems(401, 403, 404, 503),
)
async def delete_webhook(webhook_id: str, caller: Caller, hooks: Hooks, by: By) -> Response:
    """Answers 204. What is being sent may still arrive."""
    await hooks.delete(caller.tenant, webhook_id, by)
    return ReplyResponse(no_content())


@router.post(
    f"{ONE}/test",
    summary="Try a webhook",
    status_code=202,
    response_model=SentDocument,
    response_description="It is being sent; `/tries` shows what comes of it",
    responses=problems(401, 403, 404, 409, 503),
)
async def test_webhook(webhook_id: str, caller: Caller, hooks: Hooks, by: By) -> Response:
    """Sends `webhook.test`, which tells of no job."""
    return _reply(202, {"id": await hooks.test(caller.tenant, webhook_id, by)})


@router.post(
    f"{ONE}/verify",
    summary="Verify a webhook",
    status_code=202,
    response_model=SentDocument,
    response_description="It is being asked; `verified_at` and `/tries` show what comes of it",
    responses=problems(401, 403, 404, 429, 503),
)
async def verify_webhook(webhook_id: str, caller: Caller, hooks: Hooks, by: By) -> Response:
    """Asks it to send a challenge back. If it does, it is verified, and goes on if it was disabled."""
    return _reply(202, {"id": await hooks.verify(caller.tenant, webhook_id, by)})


@router.post(
    f"{ONE}/rotate",
    summary="Replace the secret of a webhook",
    status_code=201,
    response_model=NewWebhookDocument,
    response_description="The new secret, which is not shown again",
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=takes(RotateSecretRequest),
)
async def rotate_secret(
    webhook_id: str, body: SmallJsonBody, caller: Caller, hooks: Hooks, by: By
) -> Response:
    """Answers 201 with a new secret. For `overlap_s` deliveries are signed with the old one as well."""
    overlap_s = read_secret_rotation(body).overlap_s
    return _reply(201, _show_made(await hooks.rotate(caller.tenant, webhook_id, overlap_s, by)))


@router.get(
    f"{ONE}/tries",
    summary="List what was sent to a webhook",
    response_model=TryList,
    response_description="Newest first",
    responses=problems(401, 403, 404, 422, 503),
    dependencies=[Depends(check_tries_query)],
)
async def list_tries(
    webhook_id: str, query: Annotated[TriesQuery, Query()], caller: Caller, hooks: Hooks
) -> Response:
    """Lists deliveries of the last seven days, and what came of the last try of each."""
    found, more = await hooks.tries(caller.tenant, webhook_id, query.page_size, query.page_token)
    shown = {"tries": list(map(_show_try, found)), "next_page_token": found[-1].id if more else None}
    return _reply(200, shown)


@router.post(
    f"{ONE}/redeliver",
    summary="Send again",
    status_code=202,
    response_model=RedeliveredDocument,
    response_description="How many are being sent again",
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
    openapi_extra=takes(RedeliverRequest),
)
async def redeliver(webhook_id: str, body: SmallJsonBody, caller: Caller, hooks: Hooks, by: By) -> Response:
    """Sends one delivery again, whatever came of it, or those that failed since a time. They keep their ids."""
    read = partial(read_redelivery, body)
    return _reply(202, {"count": await hooks.redeliver(caller.tenant, webhook_id, read, by)})


def _show(endpoint: Endpoint) -> dict[str, Any]:
    shown = endpoint._asdict()
    return {name: shown[name] for name in WebhookDocument.model_fields}


def _show_made(made: MadeWebhook) -> dict[str, Any]:
    return _show(made.endpoint) | {"secret": made.secret}


def _show_try(sent: Try) -> dict[str, Any]:
    answer = None if sent.answer is None else sent.answer.decode("utf-8", "replace")
    return sent._asdict() | {"answer": answer}


def _reply(status: int, value: Any, headers: Iterable[Header] = ()) -> Response:
    return ReplyResponse(json_reply(status, orjson.dumps(value, option=orjson.OPT_UTC_Z)), headers)
