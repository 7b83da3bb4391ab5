"""Build the application: open connections, build the flows on them, add the routes to FastAPI, wrap it in middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import fields
from functools import partial
from typing import NamedTuple

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.access import routes as access
from api.backlog import Backlog
from api.batches import routes as batches
from api.building import build_state
from api.bulk import routes as bulk
from api.error_groups import routes as error_groups
from api.events import routes as events
from api.explanation import routes as explanation
from api.http import docs_page
from api.http.asgi import AsgiApp
from api.http.auth import check_scopes
from api.http.cors import allow_origins
from api.http.dependencies import provide
from api.http.edge import EdgeMiddleware, request_id_of
from api.http.no_route import is_written_out, show_http_error
from api.http.openapi import Json, describe
from api.http.prefix import behind_proxies
from api.http.problems import problem
from api.http.response import ReplyResponse
from api.http.schemas import query_flaws
from api.http.traced_edge import TracedEdge
from api.installation import routes as installation
from api.jobs import routes as jobs
from api.jobs.crowd import Crowd
from api.jobs.fast_path import FastPath
from api.kinds import routes as kinds
from api.kinds.openapi import describe_kinds
from api.lanes import routes as lane_routes
from api.listing import routes as listing
from api.polls import routes as polls
from api.scaling import Scaling
from api.schedules import routes as schedules
from api.slo import routes as slo
from api.state import ApiState
from api.ui.routes import make_routes
from api.webhooks import routes as webhooks
from api.webhooks.openapi import describe_deliveries
from sluice.adapters.connections import Connections, open_connections
from sluice.adapters.metrics import Metrics
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.errors import Invalid, JobUnknown
from sluice.core.lane_gauges import describe_pauses, show_clock, show_lane_gauges
from sluice.core.owner import Owner
from sluice.core.ports import Wake
from sluice.core.registry import Registry, check_lanes
from sluice.core.runtime.record_clock import RecordClock
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.runtime.tracing import Tracing
from sluice.errors import SluiceError
from sluice.handler import AnyHandler

DRAIN_S = 4.0
"""Seconds for what was accepted to reach RabbitMQ when the process stops; the keeper does the rest."""


class RunningApi(NamedTuple):
    """A running api: the whole ASGI stack, what its routes work with, how to ping the servers, and what the lanes want."""

    app: AsgiApp
    edge: EdgeMiddleware
    state: ApiState
    pings: Mapping[str, Callable[[], Awaitable[None]]]
    config_problems: ConfigProblems
    scaling: Scaling

    def describe_pauses(self) -> str:
        """Describe which lanes are paused, as far as they were counted lately."""
        newest = self.state.counts.newest()
        return describe_pauses({lane: found.paused for lane, found in newest.items()})


@asynccontextmanager
async def open_api(
    settings: Settings, registry: Registry[AnyHandler], metrics: Metrics, telemetry: Telemetry
) -> AsyncIterator[RunningApi]:
    """Open everything the api process needs; close it in reverse order, even if the start fails half-way.

    Raises StartRefused.
    """
    check_lanes(registry, settings.lanes)
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(open_connections(settings, "api", Owner(), telemetry))
        state = build_state(settings, registry, connections, telemetry, metrics.http)
        stack.push_async_callback(_drain, state)
        await connections.broker.start()
        listeners = _listen(state, connections)
        stack.push_async_callback(listeners.cancel)
        _follow_backlog(state, connections, metrics, listeners)
        _add_gauges(state, metrics, connections.clock)
        edge = wrap_middleware(state, metrics, telemetry.tracing)
        app = behind_proxies(edge, settings.root_path, settings.trusted_proxies)
        scaling = Scaling(state.counts, settings.all_lanes)
        yield RunningApi(app, edge, state, connections.pings, connections.config_problems, scaling)


def wrap_middleware(state: ApiState, metrics: Metrics, tracing: Tracing | None = None) -> EdgeMiddleware:
    """Wrap FastAPI in what answers before it; the last is outermost."""
    app: AsgiApp = create_app(state)
    if state.settings.express:
        app = FastPath(
            app,
            state.keyring,
            state.submission,
            state.lookup,
            state.forecast,
            state.advisor,
            state.limits,
            state.held,
            state.rates,
        )
    app = Crowd(app, state.submission)
    if state.settings.cors_origins:
        app = allow_origins(app, state.settings.cors_origins)
    if tracing is not None:
        return TracedEdge(app, metrics.http, state.settings.access_log, tracing)
    return EdgeMiddleware(app, metrics.http, state.settings.access_log)


def create_app(state: ApiState) -> FastAPI:
    """Make the FastAPI application with every route. Raises StartRefused if one declares no scope."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    provide(app, (getattr(state, each.name) for each in fields(state)))
    for feature in (
        jobs,
        polls,
        batches,
        events,
        explanation,
        schedules,
        listing,
        bulk,
        error_groups,
        lane_routes,
        access,
        webhooks,
        slo,
        installation,
        kinds,
    ):
        # Not `include_router`, which would hide them from `no_route` and give every request a second search.
        app.router.routes.extend(feature.router.routes)
    shown = state.settings.docs
    docs_page.add_routes(
        app, encode_document(app, state.registry, state.settings.wait_cap_s) if shown else None
    )
    check_scopes(app.routes)
    if state.settings.ui:  # behind all others: whatever is asked of the API finds its route first
        app.router.routes.extend(make_routes(state.settings))
    app.add_exception_handler(SluiceError, _show_problem)
    app.add_exception_handler(RequestValidationError, _show_query_flaws)
    app.add_exception_handler(HTTPException, show_http_error)
    app.add_exception_handler(Exception, _show_problem)
    return app


def encode_document(app: FastAPI, registry: Registry[AnyHandler], wait_cap_s: float) -> bytes:
    """Make the OpenAPI document as it is sent."""
    return orjson.dumps(document_of(app, registry, wait_cap_s), option=orjson.OPT_NON_STR_KEYS)


def document_of(app: FastAPI, registry: Registry[AnyHandler], wait_cap_s: float) -> Json:
    """Make the OpenAPI document: every route, and what every kind takes and returns."""
    document = describe(app, wait_cap_s)
    describe_kinds(document, registry)
    describe_deliveries(document)
    return document


def _listen(state: ApiState, connections: Connections) -> TaskSet[None]:
    """Start listening for changed jobs, their lines, deleted jobs and the statistics of lanes."""
    subscriptions, tasks = connections.subscriptions, TaskSet[None]()

    def wake(wakes: Mapping[str, Wake]) -> None:
        state.waiting.wake(wakes)
        state.feed.wake(wakes)

    tasks.keep(partial(subscriptions.listen, wake), "wake-ups")
    tasks.keep(state.slo.follow, "slo")
    tasks.keep(state.feed.follow, "events")
    tasks.keep(partial(state.feed.follow_lines, connections.live_logs.listen), "lines")
    tasks.keep(partial(subscriptions.listen_gone, state.lookup.memory.forget), "gone")
    tasks.keep(partial(state.advisor.follow, connections.board), "lane-statistics")
    return tasks


def _follow_backlog(
    state: ApiState, connections: Connections, metrics: Metrics, tasks: TaskSet[None]
) -> None:
    """Show what waits in each lane, also where no consumer runs that would count it."""
    backlog = Backlog(connections.keeper, state.counts, state.settings.idempotency_keep_s)
    tasks.keep(backlog.follow, "backlog")
    if state.settings.tenant_storage_mib:
        tasks.keep(state.storage_cap.follow, "storage")
    show_lane_gauges(metrics, state.counts)


def _add_gauges(state: ApiState, metrics: Metrics, clock: RecordClock) -> None:
    show_clock(metrics, clock)
    metrics.gauge("waiting_requests", "Requests that wait for their job", lambda: len(state.waiting))
    metrics.gauge(
        "commit_wait_seconds",
        "Seconds until the commit of a new job would begin, as estimated",
        state.submission.commit_wait_s,
    )
    metrics.gauge("full_tenants", "Tenants that may keep no more than they do", state.storage_cap.full)
    metrics.gauge("event_streams", "Streams of events that clients follow", lambda: len(state.feed))
    metrics.gauge(
        "held_body_bytes", "Bytes of bodies whose requests are not answered yet", lambda: len(state.held)
    )
    metrics.gauge(
        "documents_in_memory", "Finished documents in process memory", lambda: len(state.lookup.memory)
    )


async def _drain(state: ApiState) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await state.submission.drain()
            await state.lookup.drain()
            await state.batches.drain()


async def _show_problem(request: Request, error: Exception) -> Response:
    if isinstance(error, JobUnknown) and is_written_out(request):
        return await show_http_error(request, HTTPException(405))
    return ReplyResponse(problem(error, request_id_of(request.scope)))


async def _show_query_flaws(request: Request, error: Exception) -> Response:
    """Answer a wrong query. FastAPI checks nothing else: bodies go through the strict parser."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  it is registered for nothing else
    return await _show_problem(request, Invalid(query_flaws(error.errors())))
