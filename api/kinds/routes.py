"""The catalogue: which kinds there are, what they take and what they give."""

from __future__ import annotations

from inspect import getdoc
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.http.auth import authenticate
from api.http.errors import KindMissing
from api.http.openapi import KIND, KINDS
from api.http.reply_response import ReplyResponse, state_of
from api.http.response import JSON, VARY, Reply
from sluice.handler import AnyHandler


def add_routes(app: FastAPI) -> None:
    """Everything under /v1/kinds but submitting."""
    app.add_api_route("/v1/kinds", list_kinds, methods=["GET"], **KINDS)
    app.add_api_route("/v1/kinds/{kind}", show_kind, methods=["GET"], **KIND)


async def list_kinds(request: Request) -> Response:
    """Every kind of work this API takes."""
    state = state_of(request)
    await authenticate(request, state.keyring)
    return _json({"kinds": [describe(state.registry[kind]) for kind in state.registry]})


async def show_kind(request: Request, kind: str) -> Response:
    """One kind: its schemas and limits."""
    state = state_of(request)
    await authenticate(request, state.keyring)
    if kind not in state.registry:
        raise KindMissing(kind)
    return _json(describe(state.registry[kind]))


def describe(handler: AnyHandler) -> dict[str, Any]:
    """A kind as the catalogue shows it."""
    path = f"/v1/kinds/{handler.kind}"
    return {
        "kind": handler.kind,
        "description": getdoc(handler.function) or "",
        "lane": handler.lane,
        "runs_in": handler.runs_in,
        "timeout_s": handler.timeout_s,
        "max_attempts": handler.retry.max_attempts,
        "cache_s": handler.cache_s,
        "max_input": handler.max_input,
        "version": handler.version,
        "input": handler.input_model.model_json_schema(),
        "output": handler.output_model.model_json_schema(mode="serialization"),
        "links": {"self": path, "submit": f"{path}/jobs"},
    }


def _json(value: Any) -> Response:
    body = orjson.dumps(value)
    headers = [JSON, (b"content-length", b"%d" % len(body)), (b"cache-control", b"private, max-age=60"), VARY]
    return ReplyResponse(Reply(200, headers, body))
