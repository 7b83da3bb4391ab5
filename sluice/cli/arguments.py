"""What the arguments of a client's word mean: lengths of time, moments, inputs and filters."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import typer

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LENGTH = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([smhd]?)")
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(?:/([smh]))?")
_FINGERPRINT = re.compile("[0-9a-fA-F]{16}")
_KEY = re.compile(r"[ !#-~]+")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LONGEST_S = 10 * 366 * 86_400.0
_ID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SOME_ID = "01a1fd35-8e99-748d-a037-87a48d2b4e9e"
MOST_BYTES = 32 * 1024 * 1024
"""Of an input; no server takes more."""
FILTERS = ("state", "kind", "tag", "error", "since", "before")


def seconds(text: str) -> float:
    """Return the seconds of `90`, `60s`, `1.5m`, `2h` or `7d`. Raises BadParameter."""
    found = _LENGTH.fullmatch(text)
    length = float(found[1]) * _SECONDS[found[2]] if found else math.inf
    if length > _LONGEST_S:
        raise typer.BadParameter(f"{text!r} is no length of time such as 60s, 5m, 2h or 7d")
    return length


def job_id(text: str) -> str:
    """Return the id of a job as the API writes it. Raises BadParameter for what can be none."""
    if not _ID.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no id of a job, which has the form of {SOME_ID}")
    return text.lower()


def plain_name(text: str) -> str:
    """Return an id or a name that can stand in a path. Raises BadParameter for what can be none."""
    if not _PLAIN.fullmatch(text):
        raise typer.BadParameter(
            f"{text[:64]!r} is none: it begins with a letter or digit and has only these and . _ -"
        )
    return text


def fingerprint(text: str) -> str:
    """Return the fingerprint of an error. Raises BadParameter for what can be none."""
    if not _FINGERPRINT.fullmatch(text):
        raise typer.BadParameter(
            f"{text!r} is no fingerprint of an error, which has 16 digits such as 27f308596b3444eb"
        )
    return text.lower()


def idempotency_key(most: int) -> Callable[[str], str]:
    """Return what takes an idempotency key of so many characters. An empty one, of a variable that is not set, is none."""

    def check(text: str) -> str:
        if not _KEY.fullmatch(text) or len(text) > most:
            raise typer.BadParameter(
                f"{text[:64]!r} is no key, which is 1 to {most} visible ASCII characters or blanks, without quotes"
            )
        return text

    return check


def rate(text: str) -> float:
    """Return how many a second `50`, `50/s`, `30/m` or `100/h` are. Raises BadParameter."""
    found = _RATE.fullmatch(text)
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no rate such as 50/s, 30/m or 100/h")
    return float(found[1]) / _SECONDS[found[2] or ""]


def moment(text: str) -> str:
    """Return a time as the API takes it: that of `2h` is two hours ago; one with its zone is left as it is. Raises BadParameter."""
    if _LENGTH.fullmatch(text):
        return (datetime.now(UTC) - timedelta(seconds=seconds(text))).isoformat()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is neither a length of time such as 2h, nor a time with its zone such as 2026-11-28T09:00:00Z"
        )
    return text


_FORMS = """; write '{"name": "value"}', --set name=value, @FILE or -"""


def read_input(given: str | None, sets: Iterable[str]) -> Any:
    """Return the input of a job: JSON, `@file` or `-` for stdin, with every `name=value` set in it. Raises BadParameter."""
    value = {} if given is None else parse_json(_text_of(given), "INPUT", _FORMS)
    for each in sets:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{each!r} is not name=value", param_hint="--set")
        _set(value, name.split("."), _value_of(text))
    return value


def parse_json(text: str | bytes, what: str, remedy: str = "") -> Any:
    """Parse JSON, which has no name twice in an object and no number that is none. Raises BadParameter, which ends with the remedy."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_number)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise typer.BadParameter(f"{what} is not JSON: {why}{remedy}") from None


def read_filters(given: Iterable[str]) -> dict[str, Any]:
    """Return the filter of the API for every `name=value`. Raises BadParameter."""
    values: dict[str, list[str]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not value or name not in FILTERS:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE with a name of {', '.join(FILTERS)}")
        values.setdefault(name, []).append(value)
    if twice := next((name for name, found in values.items() if len(found) > 1 and name != "state"), None):
        raise typer.BadParameter(f"{twice} is given twice, and only states are added up")
    single = {name: found[0] for name, found in values.items() if name != "state"}
    times = {name: moment(single[name]) for name in ("since", "before") if name in single}
    return filters(values.get("state", ()), **single | times)


def filters(
    state: Iterable[str] = (),
    *,
    since: str | None = None,
    before: str | None = None,
    **others: str | None,
) -> dict[str, Any]:
    """Return the filter of the API that these options come to, without those that are not given."""
    times = {"created_after": since, "created_before": before}
    return {name: value for name, value in {"state": list(state), **others, **times}.items() if value}


def _text_of(given: str) -> str | bytes:
    if given == "-":
        return _read_all(sys.stdin.buffer)
    if given.startswith("@"):
        with Path(given[1:]).open("rb") as file:
            return _read_all(file)
    return given


def _read_all(file: BinaryIO) -> bytes:
    text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise typer.BadParameter(f"INPUT has more than {MOST_BYTES} bytes")
    return text


def _value_of(text: str) -> Any:
    """What is JSON is taken as such, `320` and `true` for example; all else is a text."""
    try:
        return parse_json(text, "")
    except typer.BadParameter:
        return text


def _set(value: Any, path: list[str], new: Any) -> None:
    *above, last = path
    for name in above:
        value = value.setdefault(name, {}) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise typer.BadParameter(
            f"{'.'.join(path)} cannot be set: what is around it is no object", param_hint="--set"
        )
    value[last] = new


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has {name!r} twice")
    return made


def _number(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"no number can be as large as {text[:32]}")
    return number


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
