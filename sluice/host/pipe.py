"""The host's end of the socket to its consumer: every thread may send, at any moment; one receives."""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import suppress
from threading import Lock, get_ident
from typing import Any

from sluice.host.frames import Decoder, Message, encode

CHUNK = 256 * 1024


class Pipe:
    """Sends and receives messages over a blocking socket.

    `send` may be called while this very thread is sending, by a signal handler or a finalizer: then the outer call sends both.
    In a process that a handler has forked, nothing is sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._decoder = Decoder()
        self._lock = Lock()
        self._sender = 0
        self._waiting: deque[bytes] = deque()
        self.forked = False
        os.register_at_fork(after_in_child=self._close_in_child)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def send(self, *messages: tuple[Any, ...]) -> None:
        """Send these messages; what the consumer no longer reads is dropped."""
        self._waiting.append(b"".join(map(encode, messages)))
        if self._sender == get_ident() or self.forked:
            return
        with self._lock:
            self._sender = get_ident()
            try:
                with suppress(OSError, IndexError):
                    while True:
                        self._socket.sendall(self._waiting.popleft())
            finally:
                self._sender = 0

    def receive(self) -> list[Message]:
        """Return the messages that have come, after waiting for some bytes. Raises EOFError once the consumer is gone."""
        return self._decoder.feed(self._read(0))

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

    def _read(self, flags: int) -> bytes:
        data = self._socket.recv(CHUNK, flags)
        if not data:
            raise EOFError
        return data

    def _close_in_child(self) -> None:
        self.forked = True
        self._lock = Lock()
        self._socket.close()
