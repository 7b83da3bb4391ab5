"""Secret values of an input: those of pydantic's secret types, and of fields with `json_schema_extra={"secret": True}`.

They are stored, and reach the handler. Whoever else is shown the input sees dots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from sluice.errors import StartRefused
from sluice.handler import AnyHandler
from sluice.kind_schemas import input_schema
from sluice.output_check import escape
from sluice.searchable import Keys, find_fields

DOTS = "••••••"
"""What is shown instead of a secret."""


def find_secrets(model: type[BaseModel], value: Any) -> dict[str, Any]:
    """Find the secrets of an input (as JSON has it), by the RFC 6901 pointers to them. What is null is none."""
    found: dict[str, Any] = {}
    for by_alias in (True, False):  # as some models take their fields by both
        schema = input_schema(model, by_alias=by_alias)
        found |= _find(schema, schema.get("$defs", {}), value, "")
    return found


def refuse_searchable_secrets(handler: AnyHandler) -> None:
    """Raise StartRefused if a searchable field is a secret or within one, whatever its type is called: tags are shown to all who may read."""
    model = handler.input_model
    schemas = [input_schema(model, by_alias=by_alias) for by_alias in (True, False)]
    for field in find_fields(model, handler.searchable):  # type: ignore[arg-type]  # a class can be hashed
        if any(_leads_to_secret(schema, schema.get("$defs", {}), field.steps) for schema in schemas):
            raise StartRefused(
                f"kind {handler.kind!r} ({handler.where}): searchable: {field.path!r} is a secret, "
                "and tags are shown to whoever may read jobs"
            )


def hide(value: Any, pointers: Iterable[str]) -> Any:
    """Put dots in the place of what is at these pointers. Changes the value."""
    for pointer in pointers:
        if not pointer:
            return DOTS
        *steps, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
        place = value
        for step in steps:
            place = place[_key(place, step)]
        place[_key(place, last)] = DOTS
    return value


def _key(place: Any, step: str) -> str | int:
    return int(step) if isinstance(place, list) else step


def _find(schema: Any, models: Mapping[str, Any], value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Yield what this schema, or one that it has for a part or as a choice, calls secret. Nothing is yielded of what is secret as a whole."""
    if value is None:
        return
    readings = _readings(schema, models)
    if any(map(_is_secret, readings)):
        yield at, value
        return
    for each in readings:
        for step, part, known in _parts(each, value):
            yield from _find(known, models, part, f"{at}/{escape(step)}")


def _leads_to_secret(schema: Any, models: Mapping[str, Any], steps: tuple[Keys, ...]) -> bool:
    """Say whether the value at these steps, or one that it is part of, may be a secret."""
    readings = _readings(schema, models)
    if any(map(_is_secret, readings)):
        return True
    fields = [each.get("properties", {}) for each in readings] if steps else []
    return any(
        _leads_to_secret(known[key], models, steps[1:])
        for known in fields
        for key in known
        if key in steps[0]
    )


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return schema.get("secret") is True or schema.get("writeOnly") is True


def _readings(schema: Any, models: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List this schema and all that it says of the same value, each model once: one may be a choice of itself."""
    found: list[Mapping[str, Any]] = []
    left, seen = [schema], set()
    while left:
        each = left.pop()
        if not isinstance(each, dict):
            continue
        found.append(each)
        for word in ("anyOf", "oneOf", "allOf"):
            left.extend(each.get(word, ()))
        if (reference := each.get("$ref")) not in seen:
            seen.add(reference)
            left.append(models.get((reference or "").rpartition("/")[2]))
    return found


def _parts(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """Yield the parts of a value, each with its key or place and its schema."""
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        for name, part in value.items():
            yield name, part, fields.get(name, schema.get("additionalProperties"))
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        for place, part in enumerate(value):
            yield place, part, first[place] if place < len(first) else schema.get("items")
