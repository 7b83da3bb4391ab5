"""The private port of both processes: liveness, readiness, the state of each server, and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from math import inf
from typing import Any

import orjson
import uvicorn

from sluice.adapters.http_server import EmbeddedServer, listen
from sluice.adapters.memory_limit import read_memory_limit
from sluice.adapters.metrics import Metrics
from sluice.core.errors import NotConfigured, ServerUnfit
from sluice.core.runtime.tasks import TaskSet
from sluice.errors import SluiceError

Ping = Callable[[], Awaitable[None]]
Message = MutableMapping[str, Any]
Answer = tuple[int, str, bytes]

PING_S = 1.0
"""Longest wait for one dependency."""
FRESH_S = 1.0
"""Seconds for which scrapes that come thick and fast share what one of them found."""
RECORD = "postgresql"
"""The one dependency without which nothing new can be accepted."""
JSON, TEXT = "application/json", "text/plain; charset=utf-8"


class AdminApp:
    """A bare ASGI application; `pings` maps each server to a call that raises if it is away.

    A process adds its own to `routes`. `/check` also shows what `notes` return by name, and `config_problems`: the settings of
    servers that put jobs at risk.
    While the process is `draining` it is not ready.
    """

    def __init__(
        self,
        process: str,
        pings: Mapping[str, Ping],
        metrics: Metrics,
        config_problems: Callable[[], Sequence[str]] = list,
    ) -> None:
        self._process, self._pings, self._metrics = process, pings, metrics
        self._config_problems = config_problems
        self.routes: dict[str, Callable[[Message], Awaitable[Answer]]] = {
            "/livez": self._live,
            "/readyz": self._ready,
            "/check": self._check,
            "/metrics": self._show_metrics,
        }
        self.draining = False
        self.notes: dict[str, Callable[[], str]] = {}
        self._found: dict[str, dict[str, Any]] = {}
        self._found_at = -inf
        self._add_gauges()

    async def __call__(self, scope: Message, _: object, send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        route = self.routes.get(scope["path"])
        status, media_type, body = await route(scope) if route else (404, TEXT, b"not here\n")
        headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, _: Message) -> Answer:
        return 200, TEXT, b"alive\n"

    async def _ready(self, _: Message) -> Answer:
        if self.draining:
            return 503, TEXT, b"draining\n"
        away = RECORD in self._pings and (await _ping(self._pings[RECORD]))["status"] != "up"
        return (503, TEXT, b"the record is away\n") if away else (200, TEXT, b"ready\n")

    async def _check(self, _: Message) -> Answer:
        dependencies = await self._ping_all()
        down = [name for name, each in dependencies.items() if each["status"] != "up"]
        config_problems = self._config_problems()
        status = "failing" if RECORD in down else "degraded" if down or config_problems else "ok"
        body = {"process": self._process, "status": status, "draining": self.draining}
        body |= {name: read() for name, read in self.notes.items()}
        body |= {"dependencies": dependencies, "doubts": config_problems}
        return 503 if status == "failing" else 200, JSON, orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)

    async def _show_metrics(self, scope: Message) -> Answer:
        if time.monotonic() > self._found_at + FRESH_S:
            await self._ping_all()
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        return 200, *self._metrics.render(accept.decode("latin-1"))

    async def _ping_all(self) -> dict[str, dict[str, Any]]:
        found = await asyncio.gather(*map(_ping, self._pings.values()))
        self._found = dict(zip(self._pings, found, strict=True))
        self._found_at = time.monotonic()
        return self._found

    def _add_gauges(self) -> None:
        """Show to Prometheus what /check says: each server as it was found for this scrape, and the doubts."""
        self._metrics.gauges(
            "server_up", "1 if the server answers and is fit, 0 if not, as /check says", "server",
            lambda: {
                name: each["status"] == "up" for name, each in self._found.items() if "ms" in each
            },
        )  # fmt: skip
        self._metrics.gauges(
            "server_ping_seconds", "How long the server took to answer", "server",
            lambda: {
                name: each["ms"] / 1000 for name, each in self._found.items() if each["status"] == "up"
            },
        )  # fmt: skip
        self._metrics.gauge("doubts", "Doubts that /check names", lambda: len(self._config_problems()))
        limit = read_memory_limit()
        self._metrics.gauge(
            "memory_limit_bytes",
            "What this process and its hosts may use; +Inf: all of the machine's",
            lambda: limit,
        )


async def _ping(ping: Ping) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PING_S):
            await ping()
    except NotConfigured as absent:
        return {"status": "not configured", "remedy": absent.remedy}
    except ServerUnfit as error:
        return {"status": "unfit", "why": str(error), "ms": _ms_since(started)}
    except (SluiceError, OSError, TimeoutError) as error:
        # Only the kind of error: its text may name hosts.
        return {"status": "away", "why": type(error).__name__, "ms": _ms_since(started)}
    return {"status": "up", "ms": _ms_since(started)}


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


@contextlib.asynccontextmanager
async def serve_admin(app: AdminApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve the private port in this loop until the block ends; yields the port, which matters if 0 was asked for.

    Raises StartRefused if the address cannot be bound.
    """
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = EmbeddedServer(config)
    with listen(host, port) as listener:
        task = TaskSet[None]().keep(partial(server.serve, sockets=[listener]), "private-port")
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait([task])
