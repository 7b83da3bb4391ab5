"""The bytes of a RabbitMQ message: job ids and nothing else, versioned so that releases can share queues."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

import orjson

from sluice.core.errors import Malformed

VERSION = 1
_is_stored_form = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def encode(ids: Sequence[str]) -> bytes:
    """Encode the body of a message that carries these job ids."""
    return orjson.dumps({"v": VERSION, "ids": ids})


def decode(body: bytes) -> list[str]:
    """Decode the job ids of a message. Raises Malformed for anything that Sluice did not write."""
    try:
        message = orjson.loads(body)
        if message["v"] != VERSION:
            raise Malformed(f"envelope version {message['v']!r} is not {VERSION}")
        return [each if _is_stored_form(each) else str(UUID(each)) for each in message["ids"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"not an envelope: {error}") from error
