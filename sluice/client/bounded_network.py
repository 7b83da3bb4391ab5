"""Bounds how long the client that blocks waits for a server: by one moment for all of an answer.

httpx2 bounds the time from byte to byte, so that a server could hold a request for as long as it sends a byte now and then. It has
no place for a network of one's own, so it is put below what httpx2 has made; a test notices if that is somewhere else some day.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

import httpcore2
import httpx2

MOST_AT_ONCE = 16 * 1024
"""Bytes that are handed to a connection at once: before each more, it is asked whether there is time left."""


class Network:
    """The connections of one client, each of which belongs to one thread at a time."""

    def __init__(self, client: httpx2.Client) -> None:
        self._here = threading.local()
        self._lock = threading.Lock()
        self._streams: WeakSet[_Stream] = WeakSet()
        self._is_over = False
        for transport in (client._transport, *client._mounts.values()):
            pool = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _Backend(self, pool._network_backend)

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Let whatever this thread asks of the network within the block end after so many seconds in all."""
        self._here.until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._here.until = math.inf

    def left_s(self, timeout: float | None, error: type[Exception]) -> float:
        """Return how long this thread may wait for the next bytes. Raises this error if no time is left."""
        left = getattr(self._here, "until", math.inf) - time.monotonic()
        if left <= 0:
            raise error("the answer was not there in time")
        return min(left, timeout if timeout is not None else threading.TIMEOUT_MAX)

    def wrap(self, stream: httpcore2.NetworkStream) -> _Stream:
        """Bound a connection."""
        made = _Stream(self, stream)
        with self._lock:
            self._streams.add(made)
        if self._is_over:  # meanwhile, by another thread
            stream.close()
            raise httpcore2.ConnectError("the client was closed")
        return made

    def break_off(self) -> None:
        """End all connections now, and with them every wait for one: closing a socket wakes nobody who reads from it."""
        self._is_over = True
        with self._lock:
            streams = list(self._streams)
        for each in streams:
            with suppress(
                OSError
            ):  # that of a socket under TLS would forget its session, which a reader still needs
                socket.socket.shutdown(each.get_extra_info("socket"), socket.SHUT_RDWR)


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, network: Network, inner: httpcore2.NetworkBackend) -> None:
        self._network, self._inner = network, inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left_s = self._network.left_s(timeout, httpcore2.ConnectTimeout)
        return self._network.wrap(self._inner.connect_tcp(host, port, left_s, local_address, socket_options))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, network: Network, inner: httpcore2.NetworkStream) -> None:
        self._network, self._inner = network, inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._network.left_s(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), MOST_AT_ONCE):
            left_s = self._network.left_s(timeout, httpcore2.WriteTimeout)
            self._inner.write(buffer[begin : begin + MOST_AT_ONCE], left_s)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left_s = self._network.left_s(timeout, httpcore2.ConnectTimeout)
        return self._network.wrap(self._inner.start_tls(ssl_context, server_hostname, left_s))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
