"""Serve HTTP inside this process: a socket that is opened first, and a server that leaves signals alone."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from sluice.errors import StartRefused


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def listen(host: str, port: int, backlog: int = 128) -> socket.socket:
    """Open a listening socket, before anything else starts. Raises StartRefused if the address cannot be bound."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise StartRefused(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
