"""Parse the stored bytes into a handler's Input, and write its Output as the bytes to store.

Used wherever a handler runs: in the consumer, in a child process and in users' own tests.
"""

from __future__ import annotations

import math
import re
from types import CoroutineType
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from sluice.error_text import type_name, words
from sluice.errors import BadInput, BadOutput
from sluice.handler import AnyHandler
from sluice.input_model import read_leniently

MAX_OUTPUT = 1024 * 1024
"""Bytes of JSON that one output may have; store larger things elsewhere and return where."""

IS_ASYNC = "a decorator between @handler and an 'async def' has to be 'async def' as well"

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read_input(handler: AnyHandler, raw: bytes | None) -> BaseModel:
    """Parse the Input. Raises BadInput if a kind no longer takes what was stored for it, or its validators stumble."""
    try:
        model = read_leniently(handler.input_model, raw or b"null")
    except BaseException as error:  # noqa: BLE001  validators are user code: they raise anything, and may even exit
        raise _refusal(BadInput, error) from None
    return model


def write_output(handler: AnyHandler, value: Any) -> bytes:
    """Write an output: of the declared model (or a dict that it accepts), finite, without U+0000, at most 1 MiB.

    Raises BadOutput, saying what is wrong.
    """
    model = handler.output_model
    if type(value) is not model:
        value = _as_model(model, value)
    raw = _serialised(model, value)
    if len(raw) > MAX_OUTPUT:
        raise BadOutput(f"The output has {len(raw)} bytes; at most {MAX_OUTPUT} are kept.")
    if b"null" in raw or b"NaN" in raw or b"Infinity" in raw:
        _refuse_infinite(value, raw)
    if b"\\u0000" in raw and _NUL.search(raw):
        # refused in inputs too, and by many databases in which clients keep results
        raise BadOutput("The output holds U+0000, which is not taken.")
    return raw


def _as_model(model: type[BaseModel], value: Any) -> BaseModel:
    if isinstance(value, CoroutineType):
        value.close()  # it would be complained of while another job runs
        raise BadOutput(f"The handler returned a coroutine and not {model.__name__}: {IS_ASYNC}.")
    if not isinstance(value, dict | model):
        raise BadOutput(f"The handler returned {type(value).__name__} and not {model.__name__}.")
    try:
        return model.model_validate(value)
    except BaseException as error:  # noqa: BLE001  as above
        raise _refusal(BadOutput, error) from None


def _serialised(model: type[BaseModel], value: BaseModel) -> bytes:
    try:
        raw: bytes = model.__pydantic_serializer__.to_json(value, by_alias=True, warnings="error")
    except BaseException as error:  # noqa: BLE001  serializers are user code, too
        raise _refusal(BadOutput, error) from None
    return raw


def _refuse_infinite(value: BaseModel, raw: bytes) -> None:
    """Look for NaN and infinity: pydantic writes `null`, or words that are not JSON, without an error."""
    try:
        infinite = _is_infinite(value.model_dump())
    except BaseException as error:  # noqa: BLE001  as above
        raise _refusal(BadOutput, error) from None
    if infinite:
        raise BadOutput("The output holds NaN or an infinite number, which JSON does not have.")
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadOutput(f"The output is not valid JSON: {error}") from None


def _is_infinite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_is_infinite, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_is_infinite, value))


def _refusal(refused: type[BadInput | BadOutput], error: BaseException) -> BaseException:
    """Return what to raise instead of `error`; lack of memory says nothing about the value."""
    if isinstance(error, MemoryError):
        return error
    if isinstance(error, ValidationError):
        return refused(_flaws(error))
    if isinstance(error, PydanticSerializationError):
        return refused(words(error))
    return refused(f"{type_name(error)}: {words(error)}")


def _flaws(error: ValidationError) -> str:
    """Say what is wrong without repeating the value, which may be large or private."""
    flaws = error.errors(include_url=False, include_input=False, include_context=False)[:5]
    return "; ".join(f"/{'/'.join(map(str, flaw['loc']))}: {flaw['msg']}" for flaw in flaws)
