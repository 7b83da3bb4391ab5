"""A server on a socket of its own that answers as a test says: with any bytes, slowly, half, or not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import orjson

from sluice.client import Retries
from tests.support.both_clients import open_client

JOB = {"id": "01a22321-9023-7abe-8513-ed0ed005ba15", "kind": "demo.sum", "state": "queued", "version": 1}
DONE = JOB | {
    "state": "succeeded",
    "version": 3,
    "finished_at": "2026-11-28T09:40:07.195549Z",
    "result": {"total": 6},
}


MANY = [f"01a22321-9023-7abe-8513-ed0ed005b{number:03}" for number in range(20)]
"""Ids of other jobs."""
QUICK = Retries(tries=3, budget_s=2.0, first_s=0.01, longest_s=0.05)


class Received(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[socket.socket, Received], None]


class ScriptedServer:
    """Answers each request by the next of `replies`, and all others by the last; `received` has the requests."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.received: list[Received] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close its socket and all connections."""
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as lines:
            while head := lines.readline():
                method, path, _ = head.decode().split(" ")
                headers: dict[str, str] = {}
                while line := lines.readline().decode().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                body = lines.read(int(headers.get("content-length", 0)))
                self.received.append(Received(method, path, headers, body))
                number = min(len(self.received), len(self.replies)) - 1
                self.replies[number](connection, self.received[-1])


@contextmanager
def scripted(*replies: Reply) -> Iterator[ScriptedServer]:
    """Run a server for the block."""
    server = ScriptedServer(*replies)
    try:
        yield server
    finally:
        server.close()


def answer(status: int, value: Any = None, /, **headers: str) -> Reply:
    """Answer with JSON, or with bytes as they are."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    lines = [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *lines, "", ""])

    def reply(connection: socket.socket, _: Received) -> None:
        connection.sendall(head.encode() + body)

    return reply


def problem(status: int, type: str, retryable: bool | None = None, **headers: str) -> Reply:
    """Answer with a problem."""
    return answer(status, {"type": type, "title": "T", "status": status, "detail": "D", "errors": [],
                           "request_id": "r-1", "retryable": retryable}, **headers)  # fmt: skip


def dies(connection: socket.socket, _: Received) -> None:
    """Close the connection instead of answering."""
    connection.shutdown(socket.SHUT_RDWR)


def stalls(connection: socket.socket, _: Received) -> None:
    """Answer nothing, and keep the connection."""


def sends(data: bytes, then: Reply = stalls) -> Reply:
    """Send these bytes, whatever they are, and go on so."""

    def reply(connection: socket.socket, received: Received) -> None:
        connection.sendall(data)
        then(connection, received)

    return reply


def trickles(head: bytes, drop: bytes = b" ", every_s: float = 0.05) -> Reply:
    """Send the head at once, and then a drop every so often, without end."""

    def reply(connection: socket.socket, _: Received) -> None:
        connection.sendall(head)
        with suppress(OSError):
            while True:
                connection.sendall(drop)
                time.sleep(every_s)

    return reply


def open_quick(
    way: str, server: ScriptedServer, answer_s: float = 5.0, retries: Retries = QUICK, **more: Any
) -> Any:
    """Open a client of such a server that does not wait for long."""
    client = open_client(way, server.url, "slc_key", retries=retries, **more)
    getattr(client, "inner", client)._core.answer_s = answer_s
    return client
