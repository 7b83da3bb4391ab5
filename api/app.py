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

from adapters.connections import Connections, open_connections
from adapters.doubts import Doubts
from adapters.metrics import Metrics
from api.answers import Reply
from api.bulk import Bulk
from api.control import Control
from api.desk import Desk
from api.express import Express
from api.keys import Keyring
from api.listing import Listing
from api.lookup import Lookup
from api.memory import Memory
from api.outer import AsgiApp, Outer, request_id_of
from api.pace import Pace
from api.problems import http_problem, problem
from api.recall import Recall
from api.routes import control, docs, jobs, kinds, lists, schedules
from api.routes.replies import ReplyResponse
from api.scheduling import Scheduling
from api.submission import Submission
from api.waiting import Waiting
from core.dispatch import Dispatch
from core.ending import end
from core.errors import SluiceError
from core.registry import Registry, check_lanes
from core.retention import retention
from core.settings import Settings
from core.telemetry import Telemetry

DRAIN_S = 4.0
"""Seconds for what was accepted to reach RabbitMQ at the end; the keeper does the rest."""


class Front(NamedTuple):
    """The open front door: the whole ASGI stack, what its routes work with, and how to ask the servers for a sign of life."""

    app: Outer
    desk: Desk
    pings: Mapping[str, Callable[[], Awaitable[None]]]
    doubts: Doubts


@asynccontextmanager
async def open_front(
    settings: Settings, registry: Registry, metrics: Metrics, telemetry: Telemetry
) -> AsyncIterator[Front]:
    """Everything the api process is made of, closed in reverse order even where the start fails half-way.

    Raises StartRefused.
    """
    check_lanes(registry, settings.lanes)
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(open_connections(settings, "api", uuid4(), telemetry))
        desk = _furnish(settings, registry, connections, telemetry)
        stack.push_async_callback(_drain, desk)
        await connections.broker.start()
        listening = asyncio.create_task(connections.cache.listen(desk.waiting.wake), name="wake-ups")
        forgetting = asyncio.create_task(
            connections.cache.listen_gone(desk.lookup.memory.forget), name="gone"
        )
        following = asyncio.create_task(desk.pace.follow(connections.cache), name="pace")
        stack.push_async_callback(end, (listening, forgetting, following))
        metrics.gauge("waiting_requests", "Requests that wait for their job", lambda: len(desk.waiting))
        metrics.gauge(
            "documents_in_memory", "Finished documents in process memory", lambda: len(desk.lookup.memory)
        )
        yield Front(stack_up(desk, metrics), desk, connections.pings, connections.doubts)


def _furnish(settings: Settings, registry: Registry, connections: Connections, telemetry: Telemetry) -> Desk:
    lanes = {name: settings.lane(name) for name in settings.lanes}
    dispatch = Dispatch(connections.broker, connections.jobs, lanes, telemetry)
    memory = Memory(settings.memory_mib * 1024 * 1024, settings.memory_s, monotonic)
    listing = Listing(connections.listing, settings.key_pepper.get_secret_value())
    kept_s = retention(registry, settings.keep_s).shortest_s
    lookup = Lookup(connections.jobs, connections.cache, memory, kept_s)
    recall = Recall(connections.jobs, connections.cache, lookup, settings.memory_s, monotonic)
    return Desk(
        settings=settings,
        registry=registry,
        keyring=Keyring(
            connections.keys,
            settings.key_pepper.get_secret_value(),
            settings.key_fresh_s,
            settings.key_stale_s,
        ),
        submission=Submission(
            registry,
            lanes,
            connections.jobs,
            recall,
            dispatch,
            telemetry,
            settings.admit_queue,
            connections.clock,
        ),
        lookup=lookup,
        waiting=Waiting(lookup, settings.waiters, lambda: connections.cache.listening),
        control=Control(connections.jobs, connections.cache, lookup, dispatch, telemetry),
        scheduling=Scheduling(registry, lanes, connections.schedules),
        listing=listing,
        bulk=Bulk(connections.listing, connections.cache, listing, dispatch, telemetry),
        pace=Pace(connections.clock),
    )


def stack_up(desk: Desk, metrics: Metrics) -> Outer:
    """What answers first is outermost."""
    app: AsgiApp = create_app(desk)
    if desk.settings.express:
        app = Express(app, desk)
    return Outer(app, metrics.http, desk.settings.access_log)


async def _drain(desk: Desk) -> None:
    try:
        async with asyncio.timeout(DRAIN_S):
            await desk.submission.drain()
            await desk.lookup.drain()
    except TimeoutError:
        pass


def create_app(desk: Desk) -> FastAPI:
    """FastAPI with every route; what answers before it wraps it in `api.front`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.desk = desk
    jobs.add_routes(app)
    control.add_routes(app)
    schedules.add_routes(app)
    lists.add_routes(app)
    kinds.add_routes(app)
    docs.add_routes(app, desk.registry, desk.settings.docs)
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
