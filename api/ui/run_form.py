"""A form made from the JSON schema of an input, and the JSON that a filled one stands for.

Simple fields get a control of their own; all others are JSON in a text area. Numbers reach the input with the digits that were typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from sluice.core.errors import Flaw, Invalid, Malformed
from sluice.core.strict_json import parse

MOST_FIELDS = 40
"""Fields of a form; an input with more is one text area."""
WHOLE = "input"
"""The name of the text area that holds a whole input."""
LONG = 120
"""Characters from which on a text gets more than one line."""
MAY_BE_LONG = 1_000
"""Characters that a text may have from which on it gets more than one line, as it may be a file that is pasted."""


class FormField(NamedTuple):
    """A control: `shape` is text, number, boolean, choice or json; `value` is what it shows, `flaw` what is wrong with that."""

    name: str
    title: str
    help: str
    shape: str
    required: bool
    value: str
    choices: list[tuple[str, str]]
    flaw: str = ""
    bounds: Mapping[str, Any] = {}

    @property
    def is_long(self) -> bool:
        """Whether it needs more than one line: a browser takes line breaks out of what has one."""
        may_be = self.bounds.get("maxLength", 0) > MAY_BE_LONG
        return self.shape == "json" or may_be or len(self.value) > LONG or "\n" in self.value


def make_form(schema: Mapping[str, Any], given: Any = None) -> list[FormField] | None:
    """Make the fields of a form, filled with an input if one is given; None if the input is no plain object."""
    properties = schema.get("properties")
    if schema.get("type") != "object" or not properties or len(properties) > MOST_FIELDS:
        return None
    if given is not None and (type(given) is not dict or given.keys() - properties.keys()):
        return None
    required = set(schema.get("required", ()))
    return [_field(name, each, name in required, given) for name, each in properties.items()]


def read_form(fields: list[FormField], form: Mapping[str, str]) -> bytes:
    """Write the JSON of a filled form. Raises Invalid for fields that are no JSON."""
    flaws: list[Flaw] = []
    parts: list[bytes] = []
    for field in fields:
        text = form.get(f"f.{field.name}", "").replace("\r\n", "\n")  # as browsers send line breaks
        if field.shape != "text":
            text = text.strip()
        if not text and not (field.shape == "text" and field.required):
            continue
        raw = orjson.dumps(text) if field.shape == "text" else text.encode()
        try:
            parse(raw)
        except Malformed as error:
            flaws.append(Flaw(f"/{_step(field.name)}", "json", f"This is not JSON: {error}"))
            continue
        except Invalid as error:
            flaws += [replace(flaw, pointer=f"/{_step(field.name)}{flaw.pointer}") for flaw in error.flaws]
            continue
        parts.append(orjson.dumps(field.name) + b":" + raw)
    if flaws:
        raise Invalid(flaws)
    return b"{%b}" % b",".join(parts)


def fill(fields: list[FormField], form: Mapping[str, str], flaws: list[Flaw]) -> list[FormField]:
    """Show what was typed, and what is wrong with it, at the fields."""
    return [
        field._replace(value=form.get(f"f.{field.name}", ""), flaw=" ".join(_flaws_of(field.name, flaws)))
        for field in fields
    ]


def other_flaws(fields: list[FormField], flaws: list[Flaw]) -> list[Flaw]:
    """List the flaws that belong to no field."""
    names = {_step(field.name) for field in fields}
    return [flaw for flaw in flaws if flaw.pointer[1:].split("/")[0] not in names]


def _flaws_of(name: str, flaws: list[Flaw]) -> Iterator[str]:
    for flaw in flaws:
        first, _, rest = flaw.pointer[1:].partition("/")
        if first == _step(name):
            yield (f"/{rest}: " if rest else "") + flaw.detail


def _field(name: str, schema: Mapping[str, Any], required: bool, given: Any) -> FormField:
    shape, choices = _shape(schema)
    if given is None:
        shown, is_given = schema.get("default", _example(schema) if required else None), True
    else:
        shown, is_given = given.get(name), name in given
    value = "" if shown is None or not is_given else _write(shown, shape)
    return FormField(
        name,
        str(schema.get("title") or name),
        str(schema.get("description") or ""),
        shape,
        required,
        value,
        choices,
        bounds={at: schema[at] for at in ("minimum", "maximum", "maxLength") if at in schema},
    )


def _shape(schema: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """Choose the control of a field. A text that may be null as well is JSON, as an empty one would say neither."""
    if "enum" in schema:
        return "choice", [(orjson.dumps(each).decode(), str(each)) for each in schema["enum"]]
    match schema.get("type"):
        case "string":
            return "text", []
        case "integer" | "number":
            return "number", []
        case "boolean":
            return "choice", [("true", "yes"), ("false", "no")]
    return "json", []


def _example(schema: Mapping[str, Any]) -> Any:
    return next(iter(schema.get("examples", ())), None)


def _write(value: Any, shape: str) -> str:
    if shape == "text" and isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
