"""The names that a client of `/v1` may rely on, as the OpenAPI document has them; `make public-names` adds new ones to the promised.

A client relies on routes, the names of operations, parameters, media types, statuses, headers, fields, values and problems. It also
relies on being asked for no more than when it was written: so a field that has to be sent cannot be added to what is taken already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from api.app import create_app, document_of
from api.http.openapi import REF
from api.http.problems import HTTP, TABLE
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

PROMISED = Path(__file__).with_name("public_names.txt")
WAIT_CAP_S = 55.0
Json = dict[str, Any]


class Difference(NamedTuple):
    """How the names differ from those that were promised: what has gone, what is asked for besides, and what is new."""

    gone: list[str]
    asked: list[str]
    new: list[str]


def make_document() -> Json:
    """Make the OpenAPI document of the tests' kinds."""
    state = build_state(Record(), settings(), Clock())
    return document_of(create_app(state), state.registry, WAIT_CAP_S)


def names_of(document: Json) -> list[str]:
    """All names of a document, but for what its kinds take and return: that is their authors' to keep."""
    paths = {
        path: item
        for path, item in document["paths"].items()
        if path.startswith("/v1/kinds/{") or "." not in path
    }
    schemas = {name: schema for name, schema in document["components"]["schemas"].items() if "." not in name}
    problems = {each.type for each in (*TABLE.values(), *HTTP.values())}
    routes = _of_routes(paths | document.get("webhooks", {}))
    return sorted({*routes, *_of_schemas(schemas), *(f"problem {each}" for each in problems)})


def compare(promised: Iterable[str], document: Json) -> Difference:
    """Compare the names of a document with those that were promised."""
    before, now = set(promised), set(names_of(document))
    known = {line.split(" has ")[0] for line in before}
    taken = {name for name in _taken_schemas(document) if name in known}
    routes = {line.split(" answers ")[0] for line in before if " /" in line}  # webhooks may be sent more
    asked = {
        line
        for line in now - before
        if line.split(" has always ")[0] in taken or line.split(" needs ")[0] in routes
    }
    return Difference(sorted(before - now), sorted(asked), sorted(now - before - asked))


def _of_routes(paths: Json) -> Iterator[str]:
    for path, item in paths.items():
        for method, operation in item.items():
            route = f"{method.upper()} {path}"
            yield f"{route} is {operation['operationId']}"
            for parameter in operation["parameters"]:
                needed = parameter.get("required") and parameter["in"] != "path"
                yield f"{route} {'needs ' if needed else ''}{parameter['in']} {parameter['name']}"
            for media in operation.get("requestBody", {}).get("content", ()):
                yield f"{route} takes {media}"
            for status, answer in operation["responses"].items():
                yield f"{route} answers {status}"
                yield from (f"{route} answers {status} as {media}" for media in answer.get("content", ()))
                if status < "400":
                    yield from (f"{route} answers {status} with {name}" for name in answer.get("headers", ()))


def _of_schemas(schemas: Json) -> Iterator[str]:
    for name, schema in schemas.items():
        for field, form in schema.get("properties", {}).items():
            need = "always" if field in schema.get("required", ()) else "maybe"
            yield f"{name} has {need} {field}"
            yield from (f"{name} has {field} = {value}" for value in _values(form))


def _values(form: Json) -> Iterator[Any]:
    """Find the values that a field, or what it lists, may have."""
    yield from form.get("enum", ())
    yield from [form["const"]] if "const" in form else []
    for inner in (*form.get("anyOf", ()), *([form["items"]] if "items" in form else [])):
        yield from _values(inner)


def _taken_schemas(document: Json) -> set[str]:
    """Find the schemas of what clients send, and those inside them."""
    bodies = [
        operation.get("requestBody", {}) for item in document["paths"].values() for operation in item.values()
    ]
    found: set[str] = set()
    left = [name for body in bodies for name in _references(body)]
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left.extend(_references(document["components"]["schemas"][name]))
    return found


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(to := value.get("$ref"), str):
            yield to.removeprefix(REF)
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def main() -> int:
    """Promise what is new, unless that breaks what was promised before; return the exit status."""
    promised = PROMISED.read_text().splitlines()
    gone, asked, new = compare(promised, make_document())
    sys.stderr.writelines(f"gone, and clients may rely on it: {line}\n" for line in gone)
    sys.stderr.writelines(f"asked for, and clients do not send it: {line}\n" for line in asked)
    if gone or asked:
        return 1
    PROMISED.write_text("".join(f"{line}\n" for line in sorted({*promised, *new})))
    sys.stdout.writelines(f"promised: {line}\n" for line in new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
