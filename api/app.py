"""The application: what it speaks to is opened, FastAPI gets its routes, and what answers before it is put around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import NamedTuple
from uuid import uuid4

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from api.http import docs_page as docs
from api.http.edge import AsgiApp, EdgeMiddleware, request_id_of
from api.http.fast_path import FastPath
from api.http.problems import http_problem, problem
from api.http.reply_response import ReplyResponse
from api.http.response import Reply
from api.http.retry_after import RetryAfterAdvisor
from api.jobs import control_routes as control
from api.jobs import routes as jobs
from api.jobs.control import Control
from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import Lookup
from api.jobs.result_reuse import ResultReuse
from api.jobs.submit import Submission
from api.jobs.wait import Waiting
from api.keys.keyring import Keyring
from api.kinds import routes as kinds
from api.listing import routes as lists
from api.listing.bulk import Bulk
from api.listing.listing import Listing
from api.schedules import routes as schedules
from api.schedules.schedules import Scheduling
from api.state import ApiState
from sluice.adapters.connections import Connections, open_connections
from sluice.adapters.metrics import Metrics
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry, check_lanes
from sluice.core.retention import retention
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.tasks import cancel_and_wait
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError

DRAIN_S = 4.0
"""Seconds for what was accepted to reach RabbitMQ when the process stops; the keeper does the rest."""


class RunningApi(NamedTuple):
    """The open front door: the whole ASGI stack, what its routes work with, and how to ask the servers for a sign of life."""

    app: EdgeMiddleware
    state: ApiState
    pings: Mapping[str, Callable[[], Awaitable[None]]]
    config_problems: ConfigProblems


@asynccontextmanager
async def open_api(
    settings: Settings, registry: Registry, metrics: Metrics, telemetry: Telemetry
) -> AsyncIterator[RunningApi]:
    """Everything the api process is made of, closed in reverse order even where the start fails half-way.

    Raises StartRefused.
    """
    check_lanes(registry, settings.lanes)
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(open_connections(settings, "api", uuid4(), telemetry))
        state = build_state(settings, registry, connections, telemetry)
        stack.push_async_callback(_drain, state)
        await connections.broker.start()
        listening = asyncio.create_task(connections.subscriptions.listen(state.waiting.wake), name="wake-ups")
        forgetting = asyncio.create_task(
            connections.subscriptions.listen_gone(state.lookup.memory.forget), name="gone"
        )
        following = asyncio.create_task(state.advisor.follow(connections.board), name="pace")
        stack.push_async_callback(cancel_and_wait, (listening, forgetting, following))
        metrics.gauge("waiting_requests", "Requests that wait for their job", lambda: len(state.waiting))
        metrics.gauge(
            "documents_in_memory", "Finished documents in process memory", lambda: len(state.lookup.memory)
        )
        yield RunningApi(
            wrap_middleware(state, metrics), state, connections.pings, connections.config_problems
        )


def build_state(
    settings: Settings, registry: Registry, connections: Connections, telemetry: Telemetry
) -> ApiState:
    lanes = {name: settings.lane(name) for name in settings.lanes}
    publisher = OutboxPublisher(connections.broker, connections.jobs, lanes, telemetry)
    memory = DocumentMemory(settings.memory_mib * 1024 * 1024, settings.memory_s, monotonic)
    listing = Listing(connections.listing, settings.key_pepper.get_secret_value())
    kept_s = retention(registry, settings.keep_s).shortest_s
    lookup = Lookup(connections.jobs, connections.cache, memory, kept_s)
    reuse = ResultReuse(connections.jobs, connections.cache, lookup, settings.memory_s, monotonic)
    return ApiState(
        settings=settings,
        registry=registry,
        keyring=Keyring(
            connections.api_keys,
            settings.key_pepper.get_secret_value(),
            settings.key_fresh_s,
            settings.key_stale_s,
        ),
        submission=Submission(
            registry,
            lanes,
            connections.jobs,
            reuse,
            publisher,
            telemetry,
            settings.admit_queue,
            connections.clock,
        ),
        lookup=lookup,
        waiting=Waiting(lookup, settings.waiters, lambda: connections.subscriptions.listening),
        control=Control(connections.control, connections.cache, lookup, publisher, telemetry),
        scheduling=Scheduling(registry, lanes, connections.schedules),
        listing=listing,
        bulk=Bulk(connections.listing, connections.cache, listing, publisher, telemetry),
        advisor=RetryAfterAdvisor(connections.clock),
    )


def wrap_middleware(state: ApiState, metrics: Metrics) -> EdgeMiddleware:
    """What answers first is outermost."""
    app: AsgiApp = create_app(state)
    if state.settings.express:
        app = FastPath(app, state)
    return EdgeMiddleware(app, metrics.http, state.settings.access_log)


async def _drain(state: ApiState) -> None:
    try:
        async with asyncio.timeout(DRAIN_S):
            await state.submission.drain()
            await state.lookup.drain()
    except TimeoutError:
        pass


def create_app(state: ApiState) -> FastAPI:
    """FastAPI with every route; what answers before it wraps it in `api.front`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.state = state
    jobs.add_routes(app)
    control.add_routes(app)
    schedules.add_routes(app)
    lists.add_routes(app)
    kinds.add_routes(app)
    docs.add_routes(app, state.registry, state.settings.docs)
    app.add_exception_handler(SluiceError, _show_problem)
    app.add_exception_handler(HTTPException, _show_http_error)
    app.add_exception_handler(Exception, _show_problem)
    return app


async def _show_problem(request: Request, error: Exception) -> Response:
    return ReplyResponse(problem(error, request_id_of(request.scope)))


async def _show_http_error(request: Request, error: Exception) -> Response:
    """No such route, or not with this method; OPTIONS is answered from what would have been right."""
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for nothing else
    more = [(b"allow", _allowed(request).encode())] if error.status_code == 405 else []
    if more and request.method == "OPTIONS":
        return ReplyResponse(Reply(204, more, b""))
    return ReplyResponse(
        http_problem(error.status_code, str(error.detail), more, request_id_of(request.scope))
    )


def _allowed(request: Request) -> str:
    """The methods that some route takes for this path."""
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if route.matches(dict(request.scope))[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
