"""No name that a client may rely on vanishes from `/v1`: routes, parameters, statuses, headers, fields, values and problems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.http.problems import HTTP, TABLE

PROMISED = Path(__file__).with_name("public_names.txt")
Json = dict[str, Any]


def names_of(document: Json) -> list[str]:
    """All names of a document, but for what its kinds take and return: that is their authors' to keep."""
    paths = {
        path: item
        for path, item in document["paths"].items()
        if path.startswith("/v1/kinds/{") or "." not in path
    }
    schemas = {name: schema for name, schema in document["components"]["schemas"].items() if "." not in name}
    problems = {each.type for each in (*TABLE.values(), *HTTP.values())}
    names = [*_of_routes(paths), *_of_schemas(schemas), *(f"problem {each}" for each in problems)]
    return sorted(set(names))


def _of_routes(paths: Json) -> Iterator[str]:
    for path, item in paths.items():
        for method, operation in item.items():
            route = f"{method.upper()} {path}"
            for parameter in operation["parameters"]:
                yield f"{route} {parameter['in']} {parameter['name']}"
            for status, answer in operation["responses"].items():
                yield f"{route} answers {status}"
                if status < "400":
                    yield from (f"{route} answers {status} with {name}" for name in answer["headers"])


def _of_schemas(schemas: Json) -> Iterator[str]:
    for name, schema in schemas.items():
        for field, form in schema.get("properties", {}).items():
            need = "always" if field in schema.get("required", ()) else "maybe"
            yield f"{name} has {need} {field}"
            yield from (f"{name} has {field} = {value}" for value in form.get("enum", ()))


def test_every_promised_name_is_there(document: Json) -> None:
    gone = set(PROMISED.read_text().splitlines()) - set(names_of(document))
    assert not gone, "a client of /v1 may rely on these: take another prefix, or add beside them"


def test_what_is_new_is_promised_too(document: Json) -> None:
    new = set(names_of(document)) - set(PROMISED.read_text().splitlines())
    assert not new, f"add these lines to {PROMISED.name}, in their order, once they are as they shall stay"


def test_a_name_that_vanishes_is_found() -> None:
    field: Json = {"properties": {"state": {"enum": ["queued"]}}, "required": ["state"]}
    operation: Json = {
        "parameters": [{"in": "query", "name": "wait"}],
        "responses": {"200": {"headers": {"ETag": {}}}},
    }
    whole = names_of({"paths": {"/v1/jobs": {"get": operation}}, "components": {"schemas": {"Job": field}}})
    assert {
        "GET /v1/jobs query wait", "GET /v1/jobs answers 200 with ETag", "Job has always state", "Job has state = queued",
        "problem invalid",
    } <= set(whole)  # fmt: skip
    assert "Job has always state" not in names_of(
        {"paths": {}, "components": {"schemas": {"Job": field | {"required": []}}}}
    )
