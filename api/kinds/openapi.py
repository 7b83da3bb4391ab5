"""Describe each kind's own input and output in the OpenAPI document: a path per kind, and the choice among all of them.

Programs that write clients name classes by the titles of schemas and functions by the ids of operations. So these are words
without dots, no two of them the same; and a kind's job is written out, as few of them understand `allOf` with a constant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from inspect import getdoc
from itertools import count
from typing import Any

from api.http.openapi import REF, Json, schemas_of
from api.jobs.schemas import SubmitOptions
from sluice.core.registry import Registry
from sluice.handler import AnyHandler
from sluice.kind_schemas import input_schema, output_schema


def describe_kinds(document: Json, registry: Registry[AnyHandler]) -> None:
    """Add what every kind takes and returns to the document of all routes."""
    schemas = document["components"]["schemas"]
    schemas |= schemas_of(SubmitOptions, mode="validation")
    submit = document["paths"]["/v1/jobs"]["post"]
    words = _words(registry, document)
    for kind, word in words.items():
        schemas |= _kind_schemas(registry[kind], word, schemas["JobDocument"])
        operation = _one_kind(registry[kind], submit, schemas) | {"operationId": f"submit_{word}"}
        document["paths"][f"/v1/kinds/{kind}/jobs"] = {"post": operation}
    submit["requestBody"] = _any_kind(registry, schemas)


def _words(kinds: Iterable[str], document: Json) -> dict[str, str]:
    """Find a word for every kind: the same for the same kinds, and none that makes two names equal."""
    taken = {each["operationId"] for path in document["paths"].values() for each in path.values()}
    words: dict[str, str] = {}
    for kind in sorted(kinds):
        word = next(each for each in _spellings(kind) if f"submit_{each}" not in taken)
        taken.add(f"submit_{word}")
        words[kind] = word
    return words


def _spellings(kind: str) -> Iterator[str]:
    plain = re.sub(r"[^a-z0-9]+", "_", kind)
    yield plain
    yield from (f"{plain}_{number}" for number in count(2))


def find_example(schema: Json) -> Any:
    """Find an input as its model's examples show it, or None if a required field shows none."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" not in schema:  # a list, say, or a model that refers to itself
        return None
    fields: Json = schema["properties"]
    shown = {name: field["examples"][0] for name, field in fields.items() if field.get("examples")}
    return shown if set(schema.get("required", [])) <= shown.keys() else None


def _kind_schemas(handler: AnyHandler, word: str, job: Json) -> Json:
    kind = handler.kind
    inputs = input_schema(handler.input_model, f"{REF}{kind}.input.{{model}}")
    outputs = output_schema(handler.output_model, f"{REF}{kind}.output.{{model}}")
    return (
        _name_schemas(inputs, kind, word, "input")
        | _name_schemas(outputs, kind, word, "output")
        | {f"{kind}.submit": _submit_schema(kind, word), f"{kind}.job": _job_schema(kind, word, job)}
    )


def _name_schemas(schema: Json, kind: str, word: str, part: str) -> Json:
    """Name and title the schema of a kind's model, and those it defines, by the kind.

    A model may look different in an input and in an output, so that each has schemas of its own.
    """
    inner = {
        name: each | {"title": f"{word}_{part}_{name}"} for name, each in schema.pop("$defs", {}).items()
    }
    return {f"{kind}.{part}.{name}": each for name, each in inner.items()} | {
        f"{kind}.{part}": schema | {"title": f"{word}_{part}"}
    }


def _submit_schema(kind: str, word: str) -> Json:
    return {
        "type": "object",
        "title": f"{word}_submit",
        "required": ["kind", "input"],
        "additionalProperties": False,
        "properties": {
            "kind": {"const": kind, "type": "string"},
            "input": {"$ref": f"{REF}{kind}.input"},
            "options": {"$ref": f"{REF}SubmitOptions"},
        },
    }


def _job_schema(kind: str, word: str, job: Json) -> Json:
    result = {"anyOf": [{"$ref": f"{REF}{kind}.output"}, {"type": "null"}]}
    own = {"kind": {"const": kind, "type": "string"}, "result": result}
    return job | {"title": f"{word}_job", "properties": job["properties"] | own}


def _any_kind(registry: Registry[AnyHandler], schemas: Json) -> Json:
    """Describe the body of POST /v1/jobs: one of the kinds, told apart by `kind`."""
    refs = {kind: f"{REF}{kind}.submit" for kind in registry}
    schema = {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "kind", "mapping": refs},
    }
    examples = {
        kind: {"value": {"kind": kind, "input": example}}
        for kind in registry
        if (example := find_example(schemas[f"{kind}.input"])) is not None
    }
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _one_kind(handler: AnyHandler, submit: Json, schemas: Json) -> Json:
    """Describe the operation that submits to one kind by its path."""
    operation = deepcopy(submit)
    text = getdoc(handler.function) or f"Submit {handler.kind}."
    operation |= {"summary": text.split("\n", 1)[0], "description": text, "tags": [handler.kind]}
    media: Json = {"schema": {"$ref": f"{REF}{handler.kind}.input"}}
    example = find_example(schemas[f"{handler.kind}.input"])
    if example is not None:
        media["example"] = example
    operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    for status in ("200", "202"):
        schema = {"$ref": f"{REF}{handler.kind}.job"}
        operation["responses"][status]["content"]["application/json"]["schema"] = schema
    return operation
