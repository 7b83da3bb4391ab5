"""The strict JSON parser that every body passes first.

orjson alone is too lenient: it turns whole numbers beyond 2^64 into floats, lets the last of two equal keys win, takes
U+0000 (which PostgreSQL's text refuses), and parses deeper than it can render. Infinite numbers it refuses itself.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Any, NamedTuple

import orjson

from sluice.core.errors import Flaw, Invalid, Malformed
from sluice.kind_schemas import MAX_WHOLE

Raw = bytes | bytearray
MAX_DEPTH = 32
MAX_ITEMS = 10_000


class Bounds(NamedTuple):
    """How deep JSON may be nested, and how many keys and elements it may have."""

    depth: int = MAX_DEPTH
    items: int = MAX_ITEMS


BOUNDS = Bounds()

# Linear on any bytes: nothing is given back, and an unclosed string reaches to the end.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?')
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def parse(raw: Raw, bounds: Bounds = BOUNDS) -> Any:
    """Parse these bytes. A byte order mark before them is passed over (RFC 8259 §8.1): files from Windows begin with one.

    Raises Malformed for what is not JSON in UTF-8, has infinite numbers or equal keys in one object; Invalid for
    JSON that is too deep, too large or holds U+0000 or a whole number that a double cannot keep.
    """
    if raw.count(b",") > bounds.items and _without_strings(raw).count(b",") > bounds.items:
        raise _too_many(bounds)  # before orjson makes a million objects of them
    try:
        value = orjson.loads(memoryview(raw)[len(BOM_UTF8) :] if raw.startswith(BOM_UTF8) else raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(_why_malformed(raw, error)) from None
    keys = _walk(value, raw, bounds)
    if keys != raw.count(b":") and keys != _without_strings(raw).count(b":"):
        raise Malformed("The body names the same key twice in one object.")
    return value


def _why_malformed(raw: Raw, error: orjson.JSONDecodeError) -> str:
    if error.msg.startswith("str is not valid UTF-8") or 0 in raw[:4]:
        return "The body is not UTF-8, in which JSON is sent (RFC 8259 §8.1)."
    return f"The body is not valid JSON: {error}"


def _walk(value: Any, raw: Raw, bounds: Bounds) -> int:
    """Check every scalar, level by level; return the number of keys, by which duplicates are noticed."""
    keys = items = 0
    any_large = False
    level = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for each in level:
            kind = type(each)
            if kind is dict:
                keys += len(each)
                below.extend(each)
                below.extend(each.values())
            elif kind is list:
                below.extend(each)
            else:
                any_large |= _check_scalar(each)
                continue
            if depth == bounds.depth:
                raise _flaw("too-deep", f"Nested deeper than {bounds.depth} levels.")
        items += len(below)
        if items - keys > bounds.items:
            raise _too_many(bounds)
        level = below
        depth += 1
    if any_large:
        _check_wholes(raw)
    return keys


def _check_scalar(value: Any) -> bool:
    """Check one; true for a float that may have been a whole number."""
    kind = type(value)
    if kind is str:
        if "\x00" in value:
            raise _flaw("nul", "A string holds U+0000, which is not taken.")
    elif kind is int and not -MAX_WHOLE <= value <= MAX_WHOLE:
        raise _unsafe(str(value))
    return kind is float and not -MAX_WHOLE <= value <= MAX_WHOLE


def _check_wholes(raw: Raw) -> None:
    """Refuse large floats that orjson made of whole numbers; those written as floats are fine."""
    for number in _NUMBER.finditer(_without_strings(raw)):
        if number.lastindex is None and abs(int(number[0])) > MAX_WHOLE:
            raise _unsafe(number[0].decode())


def _without_strings(raw: Raw) -> bytes:
    """Empty all strings of the text."""
    return _STRING.sub(b'""', raw)


def _too_many(bounds: Bounds) -> Invalid:
    return _flaw("too-many-items", f"More than {bounds.items} keys and elements.")


def _unsafe(number: str) -> Invalid:
    return _flaw("unsafe_number", f"{number[:24]} is beyond ±(2^53-1), where whole numbers stop being exact.")


def _flaw(code: str, detail: str) -> Invalid:
    return Invalid([Flaw("", code, detail)])
