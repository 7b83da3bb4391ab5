"""Values of the caller's own types: inputs on their way out, results on their way in."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, TypedDict
from uuid import UUID

from sluice.client.errors import ResultInvalid


class SubmitOptions(TypedDict, total=False):
    """Options of a submit, each with the server's default; see docs/http-api.md. Seconds, but for `run_at`, a time with a zone."""

    lane: str
    priority: Literal["high", "normal", "low"]
    delay_s: float
    run_at: datetime | str
    deadline_s: float
    timeout_s: float
    max_attempts: int
    cache: Literal["use", "refresh", "off"]
    webhook: str
    tags: list[str]


class Key(Enum):
    """Where the idempotency key of a submit comes from, if the caller names none."""

    MADE = "made"


_KEY = re.compile(r"[ !#-~]{1,255}")


def new_key(key: str | Key | None) -> str | None:
    """Return the idempotency key of a call: the caller's own, none, or a new one. Raises ValueError for what no header may have."""
    if key is None or isinstance(key, Key):
        return uuid7() if key is Key.MADE else None
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"a key is 1 to 255 visible ASCII characters or blanks, without quotes, not {key[:64]!r}"
        )
    return key


def uuid7() -> str:
    """Return a new UUIDv7 (RFC 9562): the time in milliseconds, and 74 random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    value = time.time_ns() // 1_000_000 << 80 | random
    value = value & ~(0xF << 76) | 7 << 76
    return str(UUID(int=value & ~(3 << 62) | 2 << 62))


def encode(value: Any) -> bytes:
    """Write a value as JSON: what JSON has, and models of pydantic, dataclasses, times, UUIDs, decimals (as text) and enums.

    Raises TypeError or ValueError for what has no place in JSON, such as NaN, bytes and paths.
    """
    return json.dumps(
        value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    hint = (
        "; files are not taken yet, send what the kind says"
        if isinstance(value, (PurePath, bytes, bytearray))
        else ""
    )
    raise TypeError(f"an input of type {type(value).__name__} cannot be sent as JSON{hint}")


def typed(value: Any, as_: Any, job: Any) -> Any:
    """Make a result what the caller wants: a model, a dataclass, any other type, or what a function makes of it.

    Raises ResultInvalid, with the error that says why as its cause.
    """
    if as_ is None:
        return value
    try:
        return _maker(as_)(value)
    except Exception as error:
        raise ResultInvalid(
            f"The result of job {job.id} is not what {as_!r} takes: {error}", job=job
        ) from error


def _maker(as_: Any) -> Callable[[Any], Any]:
    if callable(as_) and not isinstance(as_, type) and typing.get_origin(as_) is None:
        return typing.cast("Callable[[Any], Any]", as_)
    read = getattr(as_, "model_validate_json", None)
    if read is None:
        from pydantic import TypeAdapter

        read = TypeAdapter(as_).validate_json
    # it has come as JSON, of which strict models take texts for times, and bytes are read as the model says
    return lambda value: read(json.dumps(value))
