"""Messages between a consumer and its hosts: each is four bytes of length and a msgpack list whose first item is a word.

Consumer to host: `load`, `run`, `cancel`. Host to consumer: `loading`, `ready`, `refused`, `ended`, `progress`, `log`,
`alive`, `blocked`, `resumed`. What gathers in one turn of a loop is written together.
"""

from __future__ import annotations

from typing import Any

import ormsgpack

from sluice.handler import LARGEST_INPUT

LARGEST_MESSAGE = LARGEST_INPUT + (1 << 20)
"""Bytes of one message; a longer one is garbage."""

Message = list[Any]
"""A word, and what belongs to it."""


class BrokenFrame(Exception):
    """The other side sent what is no message."""


def encode(message: tuple[Any, ...] | Message) -> bytes:
    """Write one message."""
    body = ormsgpack.packb(message)
    return len(body).to_bytes(4, "little") + body


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take in bytes; returns the messages that are whole now. Raises BrokenFrame."""
        buffer = self._buffer
        buffer += data
        messages, at = [], 0
        while len(buffer) >= at + 4:
            end = at + 4 + int.from_bytes(buffer[at : at + 4], "little")
            if end - at > LARGEST_MESSAGE:
                raise BrokenFrame("a message of more than 33 MiB")
            if len(buffer) < end:
                break
            messages.append(_parse(bytes(buffer[at + 4 : end])))
            at = end
        del buffer[:at]
        return messages


def _parse(body: bytes) -> Message:
    try:
        message = ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise BrokenFrame(str(error)) from None
    if not (isinstance(message, list) and message and isinstance(message[0], str)):
        raise BrokenFrame("a message without its word")
    return message
