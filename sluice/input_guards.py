"""Keep pydantic from taking more than the schema of an input shows: strings of digits as times, `true` as 1, equal keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum, Flag
from functools import cache
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

VALUES = ("metadata", "serialization", "cls", "default", "expected", "members")
"""Keys of a pydantic schema under which no schemas stand."""
TAGS = ("\0", "\0\0")
"""What guards add to the path of a flaw; no JSON that comes from outside has U+0000 in a key."""

_TAKEN, _REFUSED = TAGS
_TIMES = {
    "date": ("date_parsing", "2030-01-31"),
    "datetime": ("datetime_parsing", "2030-01-31T12:00:00Z"),
    "timedelta": ("time_delta_parsing", "PT1H30M"),
}
"""How pydantic calls the flaw, and an example of what to write."""
_CHANGES_TEXT = ("strip_whitespace", "to_lower", "to_upper")


@cache
def reader_of(model: type[BaseModel]) -> SchemaValidator:
    """Return what reads an input of this model: its own validator if there is nothing to guard, which costs nothing."""
    schema: Any = model.__pydantic_core_schema__
    own: Any = model.__pydantic_validator__
    guarding = _Guarding(schema.get("definitions", ()))
    guarded = guarding.guard(schema)
    # Nested models would else be read by validators of their own, which guard nothing.
    return SchemaValidator(guarded, _use_prebuilt=False) if guarding.found else own


def is_written(type_: str, value: Any) -> bool:
    """Say whether a value is no string, or is written as a `date`, `datetime` or `timedelta` is in ISO 8601."""
    if not isinstance(value, str):
        return True
    return value.lstrip("+-")[:1] in ("P", "p") if type_ == "timedelta" else value[4:5] == "-"


def schema_parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what may hold schemas. A field may well be named as one of `VALUES` is: fields are not schemas themselves."""
    skipped = VALUES if is_schema(schema) else ()
    return ((name, each) for name, each in schema.items() if name not in skipped)


def is_schema(part: Mapping[str, Any]) -> bool:
    """Say whether a part of a pydantic schema is a schema itself, and not the fields of one."""
    return isinstance(part.get("type"), str)


class _Guarding:
    """Copies a pydantic schema, and puts guards before what takes too much.

    A guard is a union that lets a function choose between one member and an error, since then the member still reads JSON,
    as strictly and in as much detail as before: validators that are functions hand on values of Python.
    """

    def __init__(self, definitions: Any) -> None:
        self.found = False
        self._definitions = definitions

    def guard(self, schema: Any, config: Mapping[str, Any] | None = None) -> Any:
        if isinstance(schema, list):
            return [self.guard(each, config) for each in schema]
        if isinstance(schema, tuple):
            return tuple(self.guard(each, config) for each in schema)
        if not isinstance(schema, Mapping):
            return schema
        if is_schema(schema):
            config = schema.get("config", config)
        copied: Any = {**schema, **{name: self.guard(each, config) for name, each in schema_parts(schema)}}
        guard = self._guard_of(copied, config or {}) if is_schema(schema) else None
        if guard is not None:
            self.found = True
            return _guarded(copied, guard)
        if schema.get("type") == "union":  # which names its members in flaws
            copied["choices"] = list(map(_named, schema["choices"], copied["choices"]))
        return copied

    def _guard_of(self, schema: Any, config: Mapping[str, Any]) -> _Guard | None:
        if _may_be_equal(schema.get("keys_schema"), config):
            return self._guard_of_keys(schema["keys_schema"], config)
        return _guard_of_scalar(schema)

    def _guard_of_keys(self, schema: Any, config: Any) -> _Guard:
        @cache
        def keys() -> SchemaValidator:
            alone = core_schema.dict_schema(schema)
            return SchemaValidator(core_schema.definitions_schema(alone, list(self._definitions)), config)

        def is_meant(given: Any) -> bool:
            return _find_equal(keys(), given) is None

        def refuse(given: Any) -> Any:
            one, other = _find_equal(keys(), given) or ("", "")
            named = {"one": one[:64], "other": other[:64]}
            raise PydanticCustomError(
                "equal_keys", "The keys '{one}' and '{other}' mean the same: send one", named
            )

        return _Guard(is_meant, refuse)


class _Guard(NamedTuple):
    is_meant: Callable[[Any], bool]
    refuse: Callable[[Any], Any]


def _guarded(schema: Any, guard: _Guard) -> Any:
    is_meant = guard.is_meant
    refused = core_schema.no_info_plain_validator_function(guard.refuse)
    return core_schema.tagged_union_schema(
        ref=schema.pop("ref", None),
        choices={_TAKEN: schema, _REFUSED: refused},
        discriminator=lambda given: _TAKEN if is_meant(given) else _REFUSED,
    )


def _named(member: Any, copied: Any) -> Any:
    is_guarded = isinstance(copied, dict) and _TAKEN in copied.get("choices", ())
    return (copied, member["type"]) if is_guarded else copied


def _guard_of_scalar(schema: Any) -> _Guard | None:
    type_ = schema["type"]
    if type_ in _TIMES:
        return _Guard(lambda given: is_written(type_, given), lambda _: _refuse_unwritten(type_))
    if type_ == "complex":
        return _Guard(lambda given: not isinstance(given, int | float), _refuse_number)
    if type_ == "json":
        return _Guard(lambda given: _find_twice(given) is None, _refuse_twice)
    if type_ == "literal":
        return _guard_of_values(each.value if isinstance(each, Enum) else each for each in schema["expected"])
    if type_ == "enum":
        return _guard_of_values((each.value for each in schema["members"]), issubclass(schema["cls"], Flag))
    return None


def _guard_of_values(expected: Iterable[Any], add_up: bool = False) -> _Guard | None:
    values = [each for each in expected if isinstance(each, int | float)]
    if not values:
        return None

    def is_meant(given: Any) -> bool:
        type_ = type(given)
        if type_ not in (bool, int, float):
            return True
        equal = {type(each) for each in values if each == given}
        if not equal:  # pydantic refuses it, but for flags, which it adds up
            return not add_up or type_ is int
        return type_ in equal or (type_ is int and float in equal)

    return _Guard(is_meant, _refuse_other_type)


def _refuse_unwritten(type_: str) -> Any:
    code, example = _TIMES[type_]
    raise PydanticCustomError(
        code, f"Write it as ISO 8601 does, such as {example}; digits alone could be of any unit."
    )


def _refuse_number(_given: Any) -> Any:
    raise PydanticCustomError("complex_type", "Send a complex number as a string, such as 1+2j")


def _refuse_twice(given: Any) -> Any:
    named = {"key": (_find_twice(given) or "")[:64]}
    raise PydanticCustomError("equal_keys", "The JSON in it names the key '{key}' twice in one object", named)


def _refuse_other_type(_given: Any) -> Any:
    raise PydanticCustomError(
        "other_type",
        "Send one of the values of the schema, of the same type: true is not 1, and 1.0 is not 1",
    )


def _may_be_equal(keys: Any, config: Mapping[str, Any]) -> bool:
    """Say whether keys that are written differently may be read as the same key."""
    if not keys or keys["type"] == "any":
        return False
    if keys["type"] == "literal":
        return not all(type(each) is str for each in keys["expected"])
    if keys["type"] != "str":
        return True
    return any(keys.get(name, config.get(f"str_{name}")) for name in _CHANGES_TEXT)


def _find_equal(keys: SchemaValidator, given: Any) -> tuple[str, str] | None:
    """Find two keys of an object that are read as the same key."""
    if not isinstance(given, dict) or len(given) < 2 or not all(isinstance(key, str) for key in given):
        return None
    try:
        if len(keys.validate_json(orjson.dumps(dict.fromkeys(given)))) == len(given):
            return None
    except (ValidationError, orjson.JSONEncodeError):
        return None  # said when the object is read
    seen: dict[Any, str] = {}
    for key in given:
        (read,) = keys.validate_json(orjson.dumps({key: None}))
        if read in seen:
            return seen[read], key
        seen[read] = key
    return None


def _find_twice(text: Any) -> str | None:
    """Find a key that stands twice in an object of JSON that is in a string: its parser lets the last win."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len(pairs) > len(dict(pairs)):
            found.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)

    with suppress(ValueError, TypeError, RecursionError):  # said when it is read
        json.loads(text, object_pairs_hook=look, parse_int=str)
    return min(found, default=None)
