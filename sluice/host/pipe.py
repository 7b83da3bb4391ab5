"""The host's end of the socket to its consumer: every thread may send, at any moment; one receives."""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from threading import RLock, get_ident
from typing import Any

from sluice.host.frames import Decoder, Message, encode

CHUNK = 256 * 1024
NO_SIGPIPE = getattr(socket, "MSG_NOSIGNAL", 0)
"""Handlers may have asked for the signal, which would end this process before what it has started."""


class Pipe:
    """Sends and receives messages over a blocking socket.

    `send` may be called while this very thread is sending, by a signal handler or a finalizer: then the outer call sends both.
    If a signal handler raises meanwhile, the next call sends the rest. In a process that a handler has forked, nothing is sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._decoder = Decoder()
        self._lock = RLock()
        self._sender = 0
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self.forked = False
        os.register_at_fork(after_in_child=self._close_in_child)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def send(self, *messages: tuple[Any, ...]) -> None:
        """Send these messages; what the consumer no longer reads is dropped."""
        self._waiting.append((b"".join(map(encode, messages)), []))
        me = get_ident()
        while self._waiting and self._sender != me:
            with self._lock:
                self._sender = me
                try:
                    self._send_waiting()
                finally:
                    self._sender = 0

    def receive(self) -> list[Message]:
        """Return the messages that have come, after waiting for one. Raises EOFError once the consumer is gone."""
        messages: list[Message] = []
        while not messages:
            messages = self._decoder.feed(self._read(0))
        return messages

    def receive_now(self) -> list[Message]:
        """Return the messages that have come, without waiting. Raises EOFError like `receive`."""
        try:
            return self._decoder.feed(self._read(socket.MSG_DONTWAIT))
        except BlockingIOError:
            return []

    def leave_if_forked(self) -> None:
        """End this process if a handler has forked it and it came back: its parent is the one that answers."""
        if self.forked:
            os._exit(0)

    def _send_waiting(self) -> None:
        try:
            while self._waiting:
                data, sent = self._waiting[0]
                left = memoryview(data)[sum(sent) :]
                if left:
                    # An `extend` of C has counted the bytes before a signal handler can raise.
                    try:
                        sent.extend(map(self._socket.send, (left,), (NO_SIGPIPE,)))
                    except BlockingIOError:  # libuv makes what it watches non-blocking
                        self._wait_for_room()
                else:
                    self._waiting.popleft()
        except OSError as error:
            if error.errno is None:  # not of the system, but raised by a signal handler
                raise
            self._waiting.clear()

    def _wait_for_room(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        poll.poll()

    def _read(self, flags: int) -> bytes:
        try:
            data = self._socket.recv(CHUNK, flags)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        return data

    def _close_in_child(self) -> None:
        self.forked = True
        self._lock = RLock()
        self._socket.close()
