"""The JSON schemas of a kind: what its input and its output look like, under the names that are read and written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from sluice.error_text import type_name, words
from sluice.errors import StartRefused
from sluice.handler import AnyHandler
from sluice.input_model import VALUES, schemas_in

Json = dict[str, Any]

MAX_WHOLE = 2**53 - 1
"""Many JSON readers round larger whole numbers, so they are refused in inputs and in outputs."""
IN_PLACE = "#/$defs/{model}"
_FIELDS = ("model-field", "dataclass-field", "typed-dict-field")


class _Schemas(GenerateJsonSchema):
    """Describes decimals as they are taken: numbers with a fraction are refused, see `sluice.input_model`."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        described = super().decimal_schema(schema)
        for each in described.get("anyOf", ()):
            if each.get("type") == "number":
                each["type"] = "integer"
        return described


class _WithoutPatterns(_Schemas):
    """Leaves out patterns."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        described = super().str_schema(schema)
        described.pop("pattern", None)
        return described


def input_schema(model: type[BaseModel], template: str = IN_PLACE) -> Json:
    """Describe what a kind takes. `template` is how a schema refers to another."""
    return _describe(model, template, _Schemas, "validation")


def output_schema(model: type[BaseModel], template: str = IN_PLACE, patterns: bool = True) -> Json:
    """Describe what a kind returns."""
    return _describe(model, template, _Schemas if patterns else _WithoutPatterns, "serialization")


def refuse_what_cannot_be_described(handler: AnyHandler) -> None:
    """Raise StartRefused if no schema can be made for the input or the output of a kind, or if it would be untrue."""
    sides = {"input": (input_schema, handler.input_model), "output": (output_schema, handler.output_model)}
    for side, (describe, model) in sides.items():
        try:
            orjson.dumps(describe(model))
        except Exception as error:  # noqa: BLE001  models may make their schemas themselves
            why = f"{type_name(error)}: {' '.join(words(error).split())}"
            raise _refused(handler, f"no JSON schema can be made for its {side}: {why}") from None
    schema = handler.input_model.__pydantic_core_schema__
    if any(each.get("type") == "generator" for each in schemas_in(schema)):
        raise _refused(handler, "an Iterable in its input is only checked while it is read: make it a list")
    for name in _nameless_fields(schema):
        why = f"{name!r} of its input is read by an AliasPath, which no JSON schema shows: give it an alias"
        raise _refused(handler, why)


def _describe(
    model: type[BaseModel], template: str, generator: type[GenerateJsonSchema], mode: JsonSchemaMode
) -> Json:
    described: Json = _exact(
        model.model_json_schema(ref_template=template, schema_generator=generator, mode=mode)
    )
    return described


def _exact(value: Any) -> Any:
    """Write numbers that JSON does not keep as JSON readers have them; leave out what is infinite."""
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items() if not _is_infinite(each)}
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    if type(value) is int and abs(value) > MAX_WHOLE:
        return float(value)
    return value


def _is_infinite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not math.isfinite(value)
    except OverflowError:
        return True


def _nameless_fields(schema: Any, name: str = "", by_name: bool = False) -> Iterator[str]:
    """Find fields of a pydantic schema that are read by a path and by no name."""
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _nameless_fields(each, name, by_name)
    if not isinstance(schema, Mapping):
        return
    if "config" in schema:
        by_name = schema["config"].get("validate_by_name", False)
    if schema.get("type") in _FIELDS and not by_name and _is_nameless(schema.get("validation_alias")):
        yield schema.get("name", name)
    for key, each in schema.items():
        if key not in VALUES:
            yield from _nameless_fields(each, key, by_name)


def _is_nameless(alias: Any) -> bool:
    """Say whether an alias is a path, or a choice of nothing but paths."""
    paths = alias if isinstance(alias, list) else []
    return bool(paths) and not any(isinstance(path, list) and len(path) == 1 for path in paths)


def _refused(handler: AnyHandler, remedy: str) -> StartRefused:
    return StartRefused(f"kind {handler.kind!r} ({handler.where}): {remedy}")
