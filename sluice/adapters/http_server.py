"""Serve HTTP inside this process: a socket that is opened first, and a server that leaves signals alone."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import uvicorn

from sluice.errors import StartRefused

AT_ONCE = 16
"""Connections that are accepted in one turn of the loop."""


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def listen(host: str, port: int, backlog: int = 128, send_timeout_s: float | None = None) -> socket.socket:
    """Open a listening socket, before anything else starts. Raises StartRefused if the address cannot be bound.

    `::` is every address, of IPv4 too.
    The kernel ends a connection whose client takes nothing for `send_timeout_s` seconds of what is sent to it (Linux only).
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = family == socket.AF_INET6 and _is_everywhere(host) and socket.has_dualstack_ipv6()
        listener = socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=both)
        if send_timeout_s is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(send_timeout_s * 1000))
            )
        return listener
    except OSError as error:
        shown = f"[{host}]" if ":" in host else host
        raise StartRefused(f"cannot listen on {shown}:{port}: {error.strerror or error}") from None


def accept_more_at_once(listener: socket.socket) -> list[socket.socket]:
    """Return the listener, and more file descriptors of it, for a loop to serve them all.

    uvloop accepts one connection a turn for each, however many wait: thousands that come at once to a busy process would
    wait for as many turns behind one. A new connection costs some 20 µs more by this.
    """
    return [listener, *(listener.dup() for _ in range(AT_ONCE - 1))]


def _is_everywhere(host: str) -> bool:
    """Return True for the address that stands for all of a machine, however it is written."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:  # a name
        return False
