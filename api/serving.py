"""Run the api process. SIGTERM lets clients leave and requests finish; a second one does not wait."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import suppress
from functools import partial

import uvicorn
import uvloop

from api.app import RunningApi, open_api
from api.http.connection_caps import ConnectionCaps
from api.http.prefix import is_within
from api.http.unread_answers import UnreadAnswers
from api.http.uvicorn_protocol import Protocol
from sluice.adapters.admin_http import AdminApp, serve_admin
from sluice.adapters.http_server import EmbeddedServer, accept_more_at_once, listen
from sluice.adapters.logs import LogSink, log_to_stderr, say_why
from sluice.adapters.metrics import Metrics
from sluice.adapters.open_files import room_for
from sluice.adapters.postgres.connecting import tell_arrays_by_type
from sluice.adapters.tracing import open_tracing
from sluice.core.registry import Registry
from sluice.core.runtime.garbage_collection import settle_garbage_collection
from sluice.core.runtime.large_blocks import return_large_blocks
from sluice.core.runtime.load_settings import load_settings
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.standard_streams import open_closed_streams
from sluice.core.runtime.tasks import report_failures
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.web_settings import read_networks
from sluice.core.taken_names import refuse_what_hides_us
from sluice.errors import StartRefused
from sluice.handler import AnyHandler
from sluice.host.check import load_checked

BACKLOG = 4_096
MIB = 1024 * 1024

LINGER_S = 1.0
"""How long a client that has connected at the last moment has to send its request."""


class Server(EmbeddedServer):
    """Stops listening before it closes connections that have not sent a request yet."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, answer the requests on the open ones, and close them."""
        for each in self.servers:
            each.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self.force_exit else LINGER_S):
                while any(map(_has_no_request, self.server_state.connections)):  # noqa: ASYNC110  uvicorn has no event for it
                    await asyncio.sleep(0.05)
        await super().shutdown(sockets)


async def serve(settings: Settings, registry: Registry[AnyHandler]) -> None:
    """Answer requests until told to stop. Raises StartRefused, also if a server turns out to be unfit."""
    metrics = Metrics()
    telemetry = Telemetry(metrics.sink, LogSink("api"), count_batch=metrics.batches.record)
    report_failures(telemetry)
    with listen(settings.api_host, settings.api_port, BACKLOG, settings.send_timeout_s) as listener:
        async with (
            open_tracing(settings, "api", telemetry),
            open_api(settings, registry, metrics, telemetry) as api,
        ):
            private = AdminApp("api", api.pings, metrics, lambda: api.config_problems.lines)
            unread = UnreadAnswers(settings.unread_mib * MIB, api.edge.record_unread)
            metrics.gauge(
                "unread_answer_bytes", "Bytes of answers that wait for slow readers", lambda: len(unread)
            )
            caps = _cap_connections(api, settings)
            metrics.gauge("connections", "Connections of clients that are open", lambda: len(caps))
            private.routes["/scaling"] = api.scaling.show
            private.notes["dispatch"] = lambda: "rabbitmq" if settings.rabbitmq_url else "pull"
            private.notes["paused_lanes"] = api.describe_pauses
            private.notes["backlog"] = api.state.cap.describe
            private.notes["storage"] = api.state.storage_cap.describe
            async with serve_admin(private, settings.private_host, settings.api_private_port) as private_port:
                server = Server(_config(api, settings, unread, caps))
                stop = partial(_stop, server, private, api, telemetry)
                _on_signals(stop)
                api.config_problems.on_refusal(stop)
                settle_garbage_collection()
                port = listener.getsockname()[1]
                telemetry.emit(Event.STARTED, port=port, private_port=private_port, kinds=len(registry))
                await server.serve(sockets=accept_more_at_once(listener))
    telemetry.emit(Event.STOPPED)
    api.config_problems.check()


def _has_no_request(connection: object) -> bool:
    return isinstance(connection, Protocol) and connection.cycle is None


def _cap_connections(api: RunningApi, settings: Settings) -> ConnectionCaps:
    """Allow as many connections as the settings say, or as there are files for; that these are fewer is a problem to show."""
    most = room_for(settings.connections)
    if most < settings.connections:
        why = f"the limit of open files (ulimit -n) has room for {most} connections, SLUICE_CONNECTIONS for {settings.connections}"
        api.config_problems.report("api", [why])
    proxies = read_networks(settings.trusted_proxies)
    return ConnectionCaps(
        most,
        settings.peer_connections,
        lambda host: is_within(host, proxies),
        api.edge.record_refused_connection,
    )


def _config(
    api: RunningApi, settings: Settings, unread_answers: UnreadAnswers, connection_caps: ConnectionCaps
) -> uvicorn.Config:
    class Configured(Protocol):
        head_timeout_s = settings.head_timeout_s
        edge = api.edge
        unread = unread_answers
        caps = connection_caps

    return uvicorn.Config(
        api.app,
        http=Configured,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]  # it goes to call_later
        timeout_graceful_shutdown=20,
    )


def _on_signals(stop: partial[None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _stop(server: Server, private: AdminApp, api: RunningApi, telemetry: Telemetry) -> None:
    """Report not ready, and answer waiting requests with what is known.

    Requests are still answered for a while, each as the last one on its connection: closing an idle connection could cut
    off a request that is on its way.
    """
    if private.draining:
        server.should_exit = server.force_exit = True
        return
    private.draining = api.edge.leaving = True
    api.state.waiting.release()
    api.state.feed.release()
    telemetry.emit(Event.STOPPING)
    asyncio.get_running_loop().call_later(
        api.state.settings.lame_duck_s, setattr, server, "should_exit", True
    )


def main() -> int:
    """Run the process; return 2, after one line on stderr, if a setting or a handler is wrong."""
    open_closed_streams()
    try:
        refuse_what_hides_us()
        settings = load_settings()
        log_to_stderr(settings.log_level)
        return_large_blocks()
        registry = load_checked(settings.handlers, settings.start_s)
        tell_arrays_by_type()
        uvloop.run(serve(settings, registry))
    except StartRefused as error:
        say_why(error)
        return 2
    return 0
