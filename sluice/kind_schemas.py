"""The JSON schemas of a kind: what its input and its output look like, under the names that are read and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum, Flag
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from sluice.error_text import type_name, words
from sluice.errors import StartRefused
from sluice.handler import AnyHandler
from sluice.input_guards import is_schema, schema_parts
from sluice.input_model import schemas_in

Json = dict[str, Any]

MAX_WHOLE = 2**53 - 1
"""Many JSON readers round larger whole numbers, so they are refused in inputs and in outputs."""
IN_PLACE = "#/$defs/{model}"
_LENGTHS = {"minLength", "maxLength"}
_OTHER_TEXTS = ("bytes", "json", "url", "multi-host-url")
_TEXT_LENGTHS: dict[str, tuple[Callable[[int], int], Callable[[int], int]]] = {
    "base64": (lambda least: -(-least * 4 // 3), lambda most: -(-most // 3) * 4),
    "hex": (lambda least: least * 2, lambda most: most * 2),
    "utf8": (lambda least: -(-least // 4), lambda most: most),
}
"""How many characters this many bytes have at least, and at most; Base64 may come without its padding."""
_FIELDS = ("model-field", "dataclass-field", "typed-dict-field")


class _Schemas(GenerateJsonSchema):
    """Describes some types as they are taken and written: decimals (see `sluice.input_model`), flags, and lengths.

    pydantic shows the length of a value where JSON may have a text of another length: Base64, asterisks for a secret.
    """

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {
        "skipped-choice",
        "non-serializable-default",
    }

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        described = super().generate_inner(schema)
        if self.mode == "validation" and _writes_secret(schema.get("serialization", {})):
            described = described | {"writeOnly": True}
        bounds = schema.get("metadata", {}).get("pydantic_js_updates", {}).keys() & _LENGTHS
        if self._is_hidden(described) or (bounds and _is_other_text(schema, described)):
            return _without_lengths(described)
        return described

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        if _writes_secret(schema):
            return {"type": "string", "format": "password", "writeOnly": True}
        return super().ser_schema(schema)

    def _is_hidden(self, described: JsonSchemaValue) -> bool:
        """Say whether this is a secret, which is written as asterisks."""
        is_secret = described.get("format") == "password" and described.get("writeOnly") is True
        return is_secret and self.mode == "serialization"

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        config = self._config
        form = config.val_json_bytes if self.mode == "validation" else config.ser_json_bytes
        shortest, longest = _TEXT_LENGTHS[form]
        described = super().bytes_schema(schema) | {"format": "base64url" if form == "base64" else "binary"}
        if "minLength" in described:
            described["minLength"] = shortest(described["minLength"])
        if "maxLength" in described:
            described["maxLength"] = longest(described["maxLength"])
        return described

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        described = super().str_schema(schema)
        if self.mode == "validation" and schema.get("strip_whitespace", self._config.str_strip_whitespace):
            described.pop("maxLength", None)
        return described

    def url_schema(self, schema: core_schema.UrlSchema) -> JsonSchemaValue:
        return self._as_normalised(super().url_schema(schema))

    def multi_host_url_schema(self, schema: core_schema.MultiHostUrlSchema) -> JsonSchemaValue:
        return self._as_normalised(super().multi_host_url_schema(schema))

    def _as_normalised(self, described: JsonSchemaValue) -> JsonSchemaValue:
        """Leave out the most that a URL may have as it is sent: it is written with a slash behind its host."""
        if self.mode == "serialization":
            described.pop("maxLength", None)
        return described

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return _without_fractions(super().decimal_schema(schema))

    def fraction_schema(self, schema: core_schema.FractionSchema) -> JsonSchemaValue:
        return _without_fractions(super().fraction_schema(schema))

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        described = super().enum_schema(schema)
        if issubclass(schema["cls"], Flag):  # its members add up
            described.pop("enum", None)
            described.pop("const", None)
        return described


def _writes_secret(schema: Mapping[str, Any]) -> bool:
    """Say whether this serializer is that of pydantic's Secret[…]."""
    return getattr(schema.get("function"), "__name__", "") == "_serialize_secret"


class _WithoutPatterns(_Schemas):
    """Leaves out patterns: JSON Schema reads some otherwise than pydantic, such as `\\w`, and some not at all."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        described = super().str_schema(schema)
        described.pop("pattern", None)
        return described


def input_schema(model: type[BaseModel], template: str = IN_PLACE, *, by_alias: bool | None = None) -> Json:
    """Describe what a kind takes. `template` is how a schema refers to another; without `by_alias` the model chooses its names."""
    return _describe(model, template, _Schemas, "validation", by_alias)


def output_schema(model: type[BaseModel], template: str = IN_PLACE) -> Json:
    """Describe what a kind returns."""
    return _describe(model, template, _Schemas, "serialization")


def checked_schema(model: type[BaseModel]) -> Json:
    """Describe what a kind returns in words that mean the same to pydantic and to JSON Schema."""
    return _describe(model, IN_PLACE, _WithoutPatterns, "serialization")


def refuse_what_cannot_be_described(handler: AnyHandler) -> None:
    """Raise StartRefused if no schema can be made for the input or the output of a kind, or if it would be untrue."""
    sides = {"input": (input_schema, handler.input_model), "output": (output_schema, handler.output_model)}
    for side, (describe, model) in sides.items():
        try:
            orjson.dumps(describe(model))
        except Exception as error:  # noqa: BLE001  models may make their schemas themselves
            why = f"{type_name(error)}: {' '.join(words(error).split())}"
            raise _refused(handler, f"no JSON schema can be made for its {side}: {why}") from None
    for why in _find_untrue(handler.input_model.__pydantic_core_schema__):
        raise _refused(handler, why)


def _without_fractions(described: JsonSchemaValue) -> JsonSchemaValue:
    for each in described.get("anyOf", ()):
        if each.get("type") == "number":
            each["type"] = "integer"
    return described


def _is_other_text(schema: Any, described: JsonSchemaValue) -> bool:
    """Say whether what is bounded is a value that JSON has as a text of another length."""
    encoded = str(described.get("format")).startswith("base64")
    return encoded or any(each.get("type") in _OTHER_TEXTS for each in schemas_in(schema))


def _without_lengths(described: JsonSchemaValue) -> JsonSchemaValue:
    return {name: each for name, each in described.items() if name not in _LENGTHS}


def _describe(
    model: type[BaseModel],
    template: str,
    generator: type[GenerateJsonSchema],
    mode: JsonSchemaMode,
    by_alias: bool | None = None,
) -> Json:
    schema = model.model_json_schema(by_alias, template, generator, mode)
    words = {
        template.format(model=name)
        for name, each in schema.get("$defs", {}).items()
        if each.get("type") == "string"
    }
    described: Json = _exact(schema, words)
    return described


def _exact(value: Any, words: Collection[str]) -> Any:
    """Write numbers that JSON does not keep as JSON readers have them; leave out what is infinite, or true of no JSON.

    That is so of keys that are said to be of an enumeration of numbers. `words` are the references to strings.
    """
    if isinstance(value, dict):
        untrue = value.get("type") == "object" and _is_untrue(value.get("propertyNames"), words)
        return {
            name: _exact(each, words)
            for name, each in value.items()
            if not _is_infinite(each) and not (untrue and name == "propertyNames")
        }
    if isinstance(value, list | tuple):
        return [_exact(each, words) for each in value]
    if type(value) is int and abs(value) > MAX_WHOLE:
        return float(value)
    return value


def _is_untrue(keys: Any, words: Collection[str]) -> bool:
    return isinstance(keys, dict) and "$ref" in keys and keys["$ref"] not in words


def _is_infinite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not math.isfinite(value)
    except OverflowError:
        return True


def _find_untrue(schema: Any) -> Iterator[str]:
    """Say what the schema of an input shows but pydantic does not take."""
    for each in schemas_in(schema):
        if each.get("type") == "generator":
            yield "an Iterable in its input is only checked while it is read: make it a list"
        if each.get("type") == "literal" and any(map(_is_hidden, each["expected"])):
            yield "pydantic finds no Literal[…] of an Enum in JSON: let the Enum of its input be a str or an int, too"
        if _has_numbers(each.get("keys_schema")):
            yield "no key of JSON is one of a Literal[…] of numbers: let the keys of its input be an IntEnum, or str"
    for name in _nameless_fields(schema):
        yield f"{name!r} of its input is read by an AliasPath, which no JSON schema shows: give it an alias"


def _is_hidden(member: Any) -> bool:
    return isinstance(member, Enum) and not isinstance(member, str | int)


def _has_numbers(keys: Any) -> bool:
    return (
        bool(keys) and keys.get("type") == "literal" and any(type(each) is int for each in keys["expected"])
    )


def _nameless_fields(schema: Any, name: str = "", by_name: bool = False) -> Iterator[str]:
    """Find fields of a pydantic schema that are read by a path and by no name."""
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _nameless_fields(each, name, by_name)
    if not isinstance(schema, Mapping):
        return
    if "config" in schema and is_schema(schema):
        by_name = schema["config"].get("validate_by_name", False)
    if schema.get("type") in _FIELDS and not by_name and _is_nameless(schema.get("validation_alias")):
        yield schema.get("name", name)
    for key, each in schema_parts(schema):
        yield from _nameless_fields(each, key, by_name)


def _is_nameless(alias: Any) -> bool:
    """Say whether an alias is a path, or a choice of nothing but paths."""
    paths = alias if isinstance(alias, list) else []
    return bool(paths) and not any(isinstance(path, list) and len(path) == 1 for path in paths)


def _refused(handler: AnyHandler, remedy: str) -> StartRefused:
    return StartRefused(f"kind {handler.kind!r} ({handler.where}): {remedy}")
