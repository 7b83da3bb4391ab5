"""The OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

from api.app import create_app, document_of
from api.http.auth import ROUTE_SCOPES
from api.kinds.openapi import find_example
from sluice.core.registry import Registry
from sluice.handler import handler
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings


@pytest.fixture
def document() -> dict[str, Any]:
    state = build_state(Record(), settings(), Clock())
    return document_of(create_app(state), state.registry)


def test_every_route_of_version_1_is_described(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    generic = {("POST", "/v1/kinds/{kind}/jobs")}
    assert ROUTE_SCOPES.keys() - generic <= described


def test_submit_is_told_apart_by_kind(document: dict[str, Any]) -> None:
    media = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert media["schema"]["discriminator"]["mapping"].keys() == {"demo.pure", "demo.sum"}
    assert media["examples"]["demo.sum"]["value"] == {"kind": "demo.sum", "input": {"values": [1, 2]}}
    submit = document["components"]["schemas"]["demo.sum.submit"]
    assert submit["properties"]["kind"] == {"const": "demo.sum", "type": "string"}


def test_each_kind_has_a_path_with_its_own_input_and_output(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/kinds/demo.sum/jobs"]["post"]
    assert operation["summary"] == "Add numbers."
    media = operation["requestBody"]["content"]["application/json"]
    assert media["schema"]["$ref"].endswith("demo.sum.input")
    assert media["example"] == {"values": [1, 2]}
    job = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert job.endswith("demo.sum.job")
    output = document["components"]["schemas"]["demo.sum.output"]
    assert output["properties"]["total"]["type"] == "integer"


def test_problems_are_described_as_such(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
                    assert answer["description"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in schemas)


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(names) == len(set(names))


def test_an_example_needs_every_required_field() -> None:
    assert find_example({"required": ["a", "b"], "properties": {"a": {"examples": [1]}, "b": {}}}) is None
    assert find_example({"examples": [{"a": 2}]}) == {"a": 2}
    assert find_example({"type": "array"}) is None
    assert find_example({"$ref": "#/components/schemas/t.kind.input.Tree"}) is None
    assert find_example({"properties": {"a": {}}}) == {}


class Shared(BaseModel):
    """Part of an input and of an output, and different in each."""

    number: int = Field(1, validation_alias="in", serialization_alias="out")


class Both(BaseModel):
    shared: Shared
    again: list[Both] = []


@handler("t.both")
async def both(given: Both) -> Both:
    return given


def test_a_model_on_both_sides_of_a_kind_is_described_for_each() -> None:
    state = build_state(Record(), settings(), Clock())
    document = document_of(create_app(state), Registry([both]))
    schemas = document["components"]["schemas"]
    assert set(schemas["t.both.input.Shared"]["properties"]) == {"in"}
    assert set(schemas["t.both.output.Shared"]["properties"]) == {"out"}
    for side in ("t.both.input", "t.both.output"):
        inside = schemas[f"{side}.Both"]["properties"]["shared"]
        assert inside["$ref"] == f"#/components/schemas/{side}.Shared"
    assert all(name.removeprefix("#/components/schemas/") in schemas for name in references(document))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        if "mapping" in value:
            yield from value["mapping"].values()
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
