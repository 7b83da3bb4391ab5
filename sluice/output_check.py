"""Check an output as it was written: that JSON readers keep it as it is, and that it is what the kind's schema says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
from pydantic import BaseModel

from sluice.errors import BadOutput
from sluice.kind_schemas import MAX_WHOLE, checked_schema

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_LONG = re.compile(rb"(?:^|[\[,:-])\d{16,}(?![\d.eE])")


def check_written(model: type[BaseModel], raw: bytes) -> None:
    """Check what was written for this model.

    Raises BadOutput, naming the field, if it is not JSON, would not reach clients unchanged, or is not what the model's schema
    says.
    """
    if _LONG.search(raw):
        _refuse_unsafe_whole(raw)
    try:
        value = orjson.loads(raw)
        same = len(raw) == len(orjson.dumps(value))
    except orjson.JSONDecodeError as error:
        raise BadOutput(f"The output is not valid JSON: {error}") from None
    except orjson.JSONEncodeError:
        raise BadOutput("The output is nested deeper than 254 levels.") from None
    if b"\\u0000" in raw and _NUL.search(raw):
        # refused in inputs too, and by many databases in which clients keep results
        raise BadOutput(f"{find(value, _holds_nul)}: It holds U+0000, which is not taken.")
    if not same:  # the last of two equal keys has won, or orjson writes numbers otherwise
        json.loads(raw, object_pairs_hook=_refuse_equal_keys)
    _check_schema(model, value)


@cache
def prepare(model: type[BaseModel]) -> jsonschema_rs.Validator | None:
    """Compile the schema of an output; None if that fails, as users may have written it themselves.

    Called before the first job runs, too, which may leave nothing to import from.
    """
    with suppress(Exception):
        return jsonschema_rs.validator_for(
            checked_schema(model), validate_formats=False, mask="the value", offline=True
        )
    return None


def find(value: Any, is_wrong: Callable[[Any], bool], at: str = "") -> str | None:
    """Find what is wrong in a value of JSON, or in a key, as an RFC 6901 pointer."""
    if is_wrong(value):
        return at or "/"
    for step, each in _children(value):
        if is_wrong(step):
            return f"{at}/{escape(step)}"
        found = find(each, is_wrong, f"{at}/{escape(step)}")
        if found is not None:
            return found
    return None


def escape(step: object) -> str:
    """Write a step of a pointer."""
    return str(step).replace("~", "~0").replace("/", "~1")


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray):
        yield from enumerate(value)


def _holds_nul(value: Any) -> bool:
    return isinstance(value, str) and "\x00" in value


def _refuse_unsafe_whole(raw: bytes) -> None:
    at = find(json.loads(raw, parse_int=_read_whole), lambda value: value is _UNSAFE)
    if at is not None:
        raise BadOutput(
            f"{at}: It is beyond ±(2^53-1), where JSON readers round whole numbers: return it as a string."
        )


_UNSAFE = object()


def _read_whole(digits: str) -> Any:
    if len(digits) > len(str(-MAX_WHOLE)):  # Python does not even read what is very long
        return _UNSAFE
    whole = int(digits)
    return whole if -MAX_WHOLE <= whole <= MAX_WHOLE else _UNSAFE


def _refuse_equal_keys(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise BadOutput(f"The output names the key {key[:64]!r} twice in one object.")
        seen.add(key)


def _check_schema(model: type[BaseModel], value: Any) -> None:
    validator = prepare(model)
    if validator is None or validator.is_valid(value):
        return
    for error in validator.iter_errors(value):
        at = "".join(f"/{escape(step)}" for step in error.instance_path)
        raise BadOutput(f"{at or '/'}: The schema of the output says otherwise: {error.message}")
