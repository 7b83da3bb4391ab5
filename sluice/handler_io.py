"""Parse the stored bytes into a handler's Input, and write its Output as the bytes to store.

Used wherever a handler runs: in the consumer, in a child process and in users' own tests.
"""

from __future__ import annotations

import math
from types import CoroutineType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from sluice.error_text import type_name, words
from sluice.errors import BadInput, BadOutput
from sluice.handler import AnyHandler
from sluice.input_guards import TAGS
from sluice.input_model import read_leniently, read_strictly
from sluice.output_check import check_written, escape, find

MAX_OUTPUT = 1024 * 1024
"""Bytes of JSON that one output may have; store larger things elsewhere and return where."""

IS_ASYNC = "a decorator between @handler and an 'async def' has to be 'async def' as well"


def read_input(handler: AnyHandler, raw: bytes | None) -> BaseModel:
    """Parse the Input. Raises BadInput if a kind no longer takes what was stored for it, or its validators stumble."""
    try:
        model = read_leniently(handler.input_model, raw or b"null")
    except BaseException as error:  # noqa: BLE001  validators are user code: they raise anything, and may even exit
        raise _refusal(BadInput, error) from None
    return model


def check_input(handler: AnyHandler, raw: bytes) -> BaseModel:
    """Parse the Input as the API does when it comes. Raises BadInput."""
    try:
        model = read_strictly(handler.input_model, raw)
    except BaseException as error:  # noqa: BLE001  as above
        raise _refusal(BadInput, error) from None
    return model


def write_output(handler: AnyHandler, value: Any) -> bytes:
    """Write an output: of the declared model (or a dict that it accepts), as its schema says, finite, exact, at most 1 MiB.

    Raises BadOutput, saying what is wrong.
    """
    model, value = handler.output_model, as_output(handler, value)
    raw = _serialised(model, value)
    if len(raw) > MAX_OUTPUT:
        raise BadOutput(f"The output has {len(raw)} bytes; at most {MAX_OUTPUT} are kept.")
    # How pydantic writes NaN and infinity, the last as a key. A regular expression takes several times as long.
    if b"null" in raw or b"NaN" in raw or b"Infinity" in raw or b'"None"' in raw:
        _refuse_infinite(value)
    try:
        check_written(model, raw)
    except Exception as error:  # noqa: BLE001  users' code may be asked for the schema
        raise _refusal(BadOutput, error) from None
    return raw


def as_output(handler: AnyHandler, value: Any) -> BaseModel:
    """Return an output as its model. Raises BadOutput if it is anything but that, or a dict that it accepts."""
    model: type[BaseModel] = handler.output_model
    if type(value) is model:
        return value
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
        return _write(model, value)
    except BaseException as error:  # noqa: BLE001  serializers are user code, too
        refusal = _refusal(BadOutput, error)
        if not isinstance(refusal, BadOutput):
            raise refusal from None
        at = _find_unwritable(model, value)
        # Here, so that it has a context: another job may have raised that, from outside.
        raise BadOutput(f"{at}: {refusal}" if at else str(refusal)) from None


def _write(model: type[BaseModel], value: BaseModel, fields: set[str] | None = None) -> bytes:
    """Write JSON under the names that the schema shows, whatever the model's configuration says."""
    raw: bytes = model.__pydantic_serializer__.to_json(value, include=fields, by_alias=True, warnings="error")
    return raw


def _find_unwritable(model: type[BaseModel], value: BaseModel) -> str:
    """Find the field that cannot be written, as a pointer; empty if it is the whole."""
    if not _is_writable(model, value, set()):
        return ""
    fields, computed = model.model_fields, model.model_computed_fields
    aliases = {name: field.serialization_alias for name, field in fields.items()}
    aliases |= {name: field.alias for name, field in computed.items()}
    for name in (*aliases, *(value.model_extra or ())):
        if not _is_writable(model, value, {name}):
            return f"/{escape(aliases.get(name) or name)}"
    return ""


def _is_writable(model: type[BaseModel], value: BaseModel, fields: set[str]) -> bool:
    try:
        _write(model, value, fields)
    except BaseException:  # noqa: BLE001  as above
        return False
    return True


def _refuse_infinite(value: BaseModel) -> None:
    """Look for NaN and infinity: pydantic writes `null`, or words that are not JSON, without an error."""
    try:
        at = find(value.model_dump(by_alias=True), _is_infinite)
    except BaseException as error:  # noqa: BLE001  as above
        raise _refusal(BadOutput, error) from None
    if at is not None:
        raise BadOutput(f"{at}: It is NaN or an infinite number, which JSON does not have.")


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _refusal(refused: type[BadInput | BadOutput], error: BaseException) -> BaseException:
    """Return what to raise instead of `error`; lack of memory says nothing about the value."""
    if isinstance(error, MemoryError | refused):
        return error
    if isinstance(error, ValidationError):
        return refused(_flaws(error))
    if isinstance(error, PydanticSerializationError):
        return refused(words(error))
    return refused(f"{type_name(error)}: {words(error)}")


def _flaws(error: ValidationError) -> str:
    """Say what is wrong without repeating the value, which may be large or private."""
    flaws = error.errors(include_url=False, include_input=False, include_context=False)[:5]
    paths = ("/".join(str(step) for step in flaw["loc"] if step not in TAGS) for flaw in flaws)
    return "; ".join(f"/{path}: {flaw['msg']}" for path, flaw in zip(paths, flaws, strict=True))
