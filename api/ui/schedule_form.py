"""The form of a schedule: what it is filled with, and the body that a filled one stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from api.http.schemas import validate
from api.schedules.schedules import document
from api.schedules.schemas import ScheduleBody
from api.ui.exact_json import MOST, indent_json
from sluice.core.errors import Flaw, Invalid, Malformed
from sluice.core.schedule import CatchUp, Schedule
from sluice.core.strict_json import parse

WORDS = ("cron", "timezone", "kind", "catch_up")
NUMBERS = {"max_attempts": int, "timeout_s": float, "deadline_s": float}
LARGEST = 2**53
FIELDS = ("name", *WORDS, "input", "lane", "priority", *NUMBERS, "tags")
PRIORITIES = ("high", "normal", "low")
EMPTY: Mapping[str, str] = {
    **dict.fromkeys(FIELDS, ""),
    "timezone": "UTC",
    "priority": "normal",
    "catch_up": CatchUp.ONE,
    "input": "{}",
}


def fill(schedule: Schedule, sees_input: bool) -> dict[str, str]:
    """Fill the form with a schedule as it is; secrets of its input are dots. Raises Invalid if the input is too long to be edited."""
    shown = document(schedule)
    options: dict[str, Any] = shown["options"]
    given = {name: str(shown[name]) for name in ("name", *WORDS)}
    given |= {
        name: "" if options[name] is None else str(options[name]).removesuffix(".0") for name in NUMBERS
    }
    given |= {
        "lane": options["lane"],
        "priority": options["priority"],
        "tags": ", ".join(options["tags"]),
        "input": "",
    }
    if sees_input:
        raw = orjson.dumps(shown["input"])
        if len(raw) > MOST:
            raise Invalid([Flaw("/input", "too-long", "This input is too long to be edited here.")])
        given["input"] = indent_json(raw)[0]
    return given


def read(form: Mapping[str, str], name: str | None = None) -> ScheduleBody:
    """Read a filled form; `name` is that of a schedule that is there. Raises Invalid."""
    given = {each: form.get(each, "").strip() for each in FIELDS}
    body: dict[str, Any] = {each: given[each] for each in WORDS} | {
        "name": given["name"] if name is None else name,
        "input": _read_input(given["input"]),
        "options": _read_options(given),
    }
    return validate(ScheduleBody, body)


def _read_input(text: str) -> Any:
    try:
        return parse(text.encode())
    except Malformed as error:
        raise Invalid([Flaw("/input", "json", f"This is not JSON: {error}")]) from None
    except Invalid as error:
        raise Invalid([replace(flaw, pointer=f"/input{flaw.pointer}") for flaw in error.flaws]) from None


def _read_options(given: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {"tags": [tag for each in given["tags"].split(",") if (tag := each.strip())]}
    options |= {name: given[name] for name in ("lane", "priority") if given[name]}
    return options | {
        name: _read_number(name, given[name], kind) for name, kind in NUMBERS.items() if given[name]
    }


def _read_number(name: str, text: str, kind: type[int] | type[float]) -> float:
    try:
        value = kind(text)
        if not abs(value) < LARGEST:
            raise ValueError
    except ValueError:
        raise Invalid([Flaw(f"/options/{name}", "number", "This is to be a number.")]) from None
    return value
