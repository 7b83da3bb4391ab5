"""Describe each kind's own input and output in the OpenAPI document: a path per kind, and the choice among all of them."""

from __future__ import annotations

from copy import deepcopy
from inspect import getdoc
from typing import Any

from api.http.openapi import REF, Json, lift_definitions, schemas_of
from api.jobs.schemas import SubmitOptions
from sluice.core.registry import Registry
from sluice.handler import AnyHandler
from sluice.kind_schemas import input_schema, output_schema


def describe_kinds(document: Json, registry: Registry[AnyHandler]) -> None:
    """Add what every kind takes and returns to the document of all routes."""
    schemas = document["components"]["schemas"]
    schemas |= schemas_of(SubmitOptions, mode="validation")
    for kind in registry:
        schemas |= _kind_schemas(registry[kind])
    submit = document["paths"]["/v1/jobs"]["post"]
    submit["requestBody"] = _any_kind(registry, schemas)
    for kind in registry:
        document["paths"][f"/v1/kinds/{kind}/jobs"] = {"post": _one_kind(registry[kind], submit, schemas)}


def find_example(schema: Json) -> Any:
    """Find an input as its model's examples show it, or None if a required field shows none."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" not in schema:  # a list, say, or a model that refers to itself
        return None
    fields: Json = schema["properties"]
    shown = {name: field["examples"][0] for name, field in fields.items() if field.get("examples")}
    return shown if set(schema.get("required", [])) <= shown.keys() else None


def _kind_schemas(handler: AnyHandler) -> Json:
    kind = handler.kind
    sides = {
        f"{kind}.input": input_schema(handler.input_model, f"{REF}{kind}.input.{{model}}"),
        f"{kind}.output": output_schema(handler.output_model, f"{REF}{kind}.output.{{model}}"),
    }
    # A model that is part of both sides may look different in each, so each names it for itself.
    return {
        **{
            key: value
            for side, schema in sides.items()
            for key, value in lift_definitions(schema, side).items()
        },
        f"{kind}.submit": _submit_schema(kind),
        f"{kind}.job": _job_schema(kind),
    }


def _submit_schema(kind: str) -> Json:
    return {
        "type": "object",
        "title": f"Submit {kind}",
        "required": ["kind", "input"],
        "additionalProperties": False,
        "properties": {
            "kind": {"const": kind, "type": "string"},
            "input": {"$ref": f"{REF}{kind}.input"},
            "options": {"$ref": f"{REF}SubmitOptions"},
        },
    }


def _job_schema(kind: str) -> Json:
    result = {"anyOf": [{"$ref": f"{REF}{kind}.output"}, {"type": "null"}]}
    narrowed = {"type": "object", "properties": {"kind": {"const": kind}, "result": result}}
    return {"title": f"Job {kind}", "allOf": [{"$ref": f"{REF}JobDocument"}, narrowed]}


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
    operation["operationId"] = f"submit_{handler.kind}"
    media: Json = {"schema": {"$ref": f"{REF}{handler.kind}.input"}}
    example = find_example(schemas[f"{handler.kind}.input"])
    if example is not None:
        media["example"] = example
    operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    for status in ("200", "202"):
        schema = {"$ref": f"{REF}{handler.kind}.job"}
        operation["responses"][status]["content"]["application/json"]["schema"] = schema
    return operation
