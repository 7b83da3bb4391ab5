"""The OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field
from starlette.requests import Request

from api.app import create_app, document_of
from api.http.auth import ROUTE_SCOPES
from api.http.errors import BadHeader
from api.jobs.idempotency_key import read_idempotency_key
from api.kinds.openapi import find_example
from sluice.core.page_tokens import paging_key, seal
from sluice.core.registry import Registry
from sluice.handler import handler
from tests.unit.api.in_memory_api import (
    Clock,
    Numbers,
    Record,
    Total,
    build_state,
    settings,
)

CHOSEN = {"submit_rate": "600/60", "poll_rate": "600/60"}
"""With rates, whose headers have to be described."""


async def add_up(numbers: Numbers) -> Total:
    """Add numbers."""
    return Total(total=sum(numbers.values))


def test_every_route_of_version_1_is_described(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    generic = {("POST", "/v1/kinds/{kind}/jobs")}
    assert ROUTE_SCOPES.keys() - generic <= described


def test_batches_are_taken_whole_and_as_lines(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/batches"]["post"]["requestBody"]["content"]
    schemas = {media: each["schema"]["$ref"].rsplit("/", 1)[1] for media, each in content.items()}
    assert schemas == {"application/json": "BatchRequest", "application/x-ndjson": "BatchItem"}
    assert schemas["application/x-ndjson"] in document["components"]["schemas"]
    results = document["paths"]["/v1/batches/{batch_id}/results"]["get"]["responses"]["200"]["content"]
    assert list(results) == ["application/x-ndjson"]


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


def test_every_operation_says_how_a_request_is_refused_before_it_is_looked_at(
    document: dict[str, Any],
) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert {"400", "429", "431", "503"} <= operation["responses"].keys(), (method, path)
            assert list(operation["responses"]["431"]["content"]) == ["application/problem+json"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in schemas)


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(names) == len(set(names))


def test_operations_are_named_by_words(document: dict[str, Any]) -> None:
    names = {each["operationId"] for item in document["paths"].values() for each in item.values()}
    assert {"submit_job", "look_up_job", "submit_demo_sum", "pause_schedule"} <= names
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_kinds_that_differ_in_a_dot_and_kinds_called_like_us_have_names_of_their_own() -> None:
    state = build_state(Record(), settings(), Clock())
    kinds = ["a.b", "a_b", "a-b", "job", "a.b_2"]
    registry = Registry([handler(kind)(add_up) for kind in kinds])
    document = document_of(create_app(state), registry, 55.0)
    posts = [document["paths"][f"/v1/kinds/{kind}/jobs"]["post"]["operationId"] for kind in kinds]
    assert len({*posts, "submit_job"}) == len(kinds) + 1
    titles = [each["title"] for each in document["components"]["schemas"].values()]
    assert len(titles) == len(set(titles))


def test_components_are_titled_by_kind_and_a_job_is_written_out(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    parts = {part: schemas[f"demo.sum.{part}"] for part in ("input", "output", "submit", "job")}
    assert {each["title"] for each in parts.values()} == {f"demo_sum_{part}" for part in parts}
    job = parts["job"]
    assert job["properties"]["kind"] == {"const": "demo.sum", "type": "string"}
    assert job["properties"].keys() == schemas["JobDocument"]["properties"].keys()
    assert job["required"] == schemas["JobDocument"]["required"]
    assert "allOf" not in str(document)


def parameter(
    document: dict[str, Any], name: str, path: str = "/v1/jobs", method: str = "post"
) -> dict[str, Any]:
    """The schema of a parameter."""
    [found] = [each for each in document["paths"][path][method]["parameters"] if each["name"] == name]
    schema: dict[str, Any] = found["schema"]
    return schema


FREE = {"Prefer", "timing", "If-None-Match", "Last-Event-ID"}
"""Never refused for their length alone, but with the whole head."""


def test_parameters_have_their_bounds(document: dict[str, Any]) -> None:
    one = "/v1/jobs/{job_id}"
    assert parameter(document, "wait") == {"type": "number", "minimum": 0, "maximum": 55.0}
    assert parameter(document, "wait", one, "get")["maximum"] == 55.0
    assert parameter(document, "job_id", one, "get")["format"] == "uuid"
    for path in ("/v1/jobs", "/v1/schedules"):
        assert parameter(document, "page_token", path, "get").keys() >= {"maxLength", "pattern"}
    for item in document["paths"].values():
        for operation in item.values():
            for each in operation.get("parameters", ()):
                schema = each["schema"]
                if schema.get("type") == "string" and "format" not in schema and "enum" not in schema:
                    bounded = "maxLength" in schema or "pattern" in schema
                    assert bounded != (each["name"] in FREE), (operation["operationId"], each)


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "!",
        '"a b"',
        '"',
        '""',
        "a b",
        'a"b',
        "\xe9",
        "",
        "a" * 255,
        "a" * 256,
        '"' + "a" * 255 + '"',
        '"' + "a" * 256 + '"',
    ],
)
def test_the_pattern_of_an_idempotency_key_is_that_of_its_reader(document: dict[str, Any], key: str) -> None:
    schema = parameter(document, "Idempotency-Key")
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"idempotency-key", key.encode())]}
    fits = re.search(schema["pattern"], key) is not None and len(key) <= schema["maxLength"]
    try:
        taken = read_idempotency_key(Request(scope), b"") is not None
    except BadHeader:
        taken = False
    assert fits == taken


def test_the_patterns_of_tokens_fit_the_tokens(document: dict[str, Any]) -> None:
    token = seal(paging_key("0123456789abcdef"), b"?", "01900000-0000-7000-8000-000000000000")
    schema = parameter(document, "page_token", "/v1/jobs", "get")
    assert re.search(schema["pattern"], token)
    assert len(token) <= schema["maxLength"]


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs", "/v1/kinds/demo.sum/jobs", "/v1/batches", "/v1/jobs/{job_id}/retry", "/v1/jobs/retry", "/v1/schedules/{name}/run"],
)  # fmt: skip
def test_answers_to_whatever_submits_describe_what_is_left(document: dict[str, Any], path: str) -> None:
    for status, answer in document["paths"][path]["post"]["responses"].items():
        assert {"RateLimit", "RateLimit-Policy"} <= answer["headers"].keys(), status


@pytest.mark.parametrize("path", ["/v1/jobs/{job_id}", "/v1/batches/{batch_id}", "/v1/bulk/{act_id}"])
def test_what_is_unchanged_says_when_to_ask_again(document: dict[str, Any], path: str) -> None:
    assert "Retry-After" in document["paths"][path]["get"]["responses"]["304"]["headers"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/jobs/{job_id}/events"])
def test_a_stream_is_described_as_nothing_else(document: dict[str, Any], path: str) -> None:
    assert list(document["paths"][path]["get"]["responses"]["200"]["content"]) == ["text/event-stream"]


def test_every_answer_describes_its_headers(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                wanted = {"X-Request-Id"}
                wanted |= {"WWW-Authenticate"} if status in ("401", "403") else set()
                wanted |= (
                    {"Retry-After", "RateLimit", "RateLimit-Policy"} if status in ("429", "503") else set()
                )
                assert wanted <= answer["headers"].keys(), (path, method, status)
                assert all(each["description"] and each["schema"] for each in answer["headers"].values())


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
    document = document_of(create_app(state), Registry([both]), 55.0)
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
