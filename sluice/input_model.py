"""Read JSON into an input's model: as strictly as the API does, or as forgivingly as a consumer does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from sluice.input_guards import is_schema, reader_of, schema_parts

_EXACT: dict[str, Callable[[Any], Any]] = {"decimal": Decimal, "fraction": Fraction}
_BEFORE = ("function-before", "function-wrap")
_NOT_CHECKS = ("metadata", "serialization")
_FRACTION = re.compile(rb"\d[.eE]")


def read_strictly(model: type[BaseModel], raw: bytes | bytearray) -> BaseModel:
    """Read an input as the API does: nothing is converted that JSON has a type for, or that its schema does not show.

    Raises ValidationError, and whatever the model's validators raise.
    """
    value = _read(model, raw)
    if _has_decimals(model) and _FRACTION.search(raw):
        _refuse_rounded_decimals(model, raw)
    return value


def read_leniently(model: type[BaseModel], raw: bytes) -> BaseModel:
    """Read a stored input to the same value that the API read, or as well as can be if the model has changed since."""
    try:
        return _read(model, raw)
    except ValidationError:
        return model.model_validate_json(raw)


def _read(model: type[BaseModel], raw: bytes | bytearray) -> BaseModel:
    validator = reader_of(model)
    try:
        value: BaseModel = validator.validate_json(raw, strict=True)
    except ValidationError:
        if not _hands_on_python(model):
            raise
        # What a validator before it hands on is a value of Python to pydantic, of which strictness takes no date or tuple
        # that is written as JSON writes it.
        value = validator.validate_json(raw)
    return value


def walk_schema(schema: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys and leaves of what pydantic does with an input; how it writes outputs is not part of that."""
    if isinstance(schema, Mapping):
        for name, each in schema.items():
            if name not in _NOT_CHECKS or not is_schema(schema):
                yield from walk_schema(each, name)
    elif isinstance(schema, list | tuple):
        for each in schema:
            yield from walk_schema(each, key)
    else:
        yield key, schema


@cache
def _hands_on_python(model: type[BaseModel]) -> bool:
    return any(_runs_users_code_before(each) for each in schemas_in(model.__pydantic_core_schema__))


@cache
def _has_decimals(model: type[BaseModel]) -> bool:
    return any(map(_exact_type, schemas_in(model.__pydantic_core_schema__)))


def _exact_type(schema: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    return _EXACT.get(schema["type"]) if is_schema(schema) else None


def schemas_in(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a pydantic schema and everything in it that may be one."""
    if isinstance(schema, Mapping):
        yield schema
        for _, each in schema_parts(schema):
            yield from schemas_in(each)
    elif isinstance(schema, list | tuple):
        for each in schema:
            yield from schemas_in(each)


def _runs_users_code_before(schema: Mapping[str, Any]) -> bool:
    if schema.get("type") not in _BEFORE:
        return False
    function = schema["function"]["function"]
    return not str(getattr(function, "__module__", "")).startswith("pydantic")


def _refuse_rounded_decimals(model: type[BaseModel], raw: bytes | bytearray) -> None:
    """Raise ValidationError if a decimal came as a number with a fraction, whose last digits are lost by now."""
    probe = _decimal_probe(model)
    try:
        probe.validate_json(raw)
    except ValidationError as error:
        if any(each["type"] == _ROUNDED for each in error.errors(include_input=False, include_url=False)):
            raise


_ROUNDED = "decimal_as_number"


@cache
def _decimal_probe(model: type[BaseModel]) -> SchemaValidator:
    """Make a validator that refuses numbers with a fraction where the model takes decimals."""
    # Nested models would else be checked by validators of their own, which refuse nothing.
    return SchemaValidator(_with_probes(model.__pydantic_core_schema__), _use_prebuilt=False)


def _with_probes(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_probes(each) for each in schema]
    if isinstance(schema, tuple):
        return tuple(map(_with_probes, schema))
    if not isinstance(schema, Mapping):
        return schema
    copied: Any = {**schema, **{name: _with_probes(each) for name, each in schema_parts(schema)}}
    exact = _exact_type(schema)
    if exact is None:
        return copied
    return core_schema.no_info_before_validator_function(lambda value: _read_exact(exact, value), copied)


def _read_exact(exact: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, float):
        raise PydanticCustomError(
            _ROUNDED,
            "Send a decimal as a string or a whole number: JSON readers round numbers with a fraction.",
        )
    try:
        return exact(value) if isinstance(value, str | int) else value
    except (ArithmeticError, ValueError):
        return value
